{{- define "chart.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Cluster-wide names hold namespace and release, apart by what neither can contain. */}}
{{- define "chart.clusterName" -}}
connectivity-operator:{{ .Release.Namespace }}:{{ .Release.Name }}
{{- end }}

{{/* The namespaces to watch, as a JSON list; empty: all. */}}
{{- define "chart.watchNamespaces" -}}
{{- $names := list }}
{{- range splitList "," (include "base.setting" (list . "WATCH_NAMESPACES")) }}
{{- with trim . }}
{{- $names = append $names . }}
{{- end }}
{{- end }}
{{- toJson $names }}
{{- end }}

{{/* OPERATOR_NAME: how this operator signs a status. A release's name may have dots, a label may not. */}}
{{- define "chart.operatorName" -}}
{{- .Release.Name | replace "." "-" }}
{{- end }}
