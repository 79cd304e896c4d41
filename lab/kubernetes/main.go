// Command kubernetes-lab is etcd, the Kubernetes control plane and the kubelet in one binary:
// one link instead of five, and most of their code is shared.
//
//	kubernetes-lab [-await URL] COMPONENT [FLAGS OF THE COMPONENT]
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// Each component returns its exit code. They parse os.Args themselves, so run sets it first.
var components = map[string]func() int{
	"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
}

func command(build func() *cobra.Command) func() int {
	return func() int { return cli.Run(build()) }
}

func main() {
	address := flag.String("await", "", "start the component once this `URL` answers 200")
	flag.Parse()
	run, known := components[flag.Arg(0)]
	if !known {
		fmt.Fprintf(os.Stderr, "usage: kubernetes-lab [-await URL] COMPONENT [FLAGS]; components: %v\n", names())
		os.Exit(2)
	}
	if *address != "" {
		await(*address)
	}
	os.Args = flag.Args()
	os.Exit(run())
}

// await blocks until the URL answers 200. The controller manager gives up 10 s after its start if there is no
// API server yet (WaitForAPIServer), which a cold machine can exceed. The answer carries nothing worth trusting,
// so the certificate is not looked at.
func await(url string) {
	client := http.Client{
		Timeout:   2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	for {
		if response, err := client.Get(url); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func names() []string {
	var list []string
	for name := range components {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
