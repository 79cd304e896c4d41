{{/*
The only place that reaches into the base chart: what this chart's own objects must agree on with the Deployment.
With another base chart, this file and the block `ho-microservice:` of the values are what changes.
*/}}

{{- define "base.fullname" -}}
{{- (index .Values "ho-microservice").fullnameOverride }}
{{- end }}

{{- define "base.serviceAccountName" -}}
{{- (index .Values "ho-microservice").serviceAccount.name }}
{{- end }}

{{- define "base.selectorLabels" -}}
app.kubernetes.io/name: {{ (index .Values "ho-microservice").nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* One setting of the operator: include "base.setting" (list . "WATCH_NAMESPACES") */}}
{{- define "base.setting" -}}
{{- get (index (first .).Values "ho-microservice").env (last .) }}
{{- end }}

{{/* What a Pod that runs the operator's image needs beside its container. */}}
{{- define "base.podSpec" -}}
{{- $base := index .Values "ho-microservice" -}}
enableServiceLinks: false
{{- range $key, $value := dict "securityContext" $base.podSecurityContext "imagePullSecrets" $base.imagePullSecrets "nodeSelector" $base.nodeSelector "tolerations" $base.tolerations "affinity" $base.affinity }}
{{- with $value }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Image, rights and resources of such a container. */}}
{{- define "base.container" -}}
{{- with index .Values "ho-microservice" -}}
image: "{{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag }}{{ end }}"
imagePullPolicy: {{ .image.pullPolicy }}
command:
  {{- toYaml .command | nindent 2 }}
securityContext:
  {{- toYaml .securityContext | nindent 2 }}
resources:
  {{- toYaml .resources | nindent 2 }}
{{- end }}
{{- end }}

{{/* The Deployment's environment and files, for a container that must see the same world. */}}
{{- define "base.environment" -}}
{{- with index .Values "ho-microservice" -}}
env:
  {{- range $name, $value := .env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
envFrom:
  {{- toYaml .envFrom | nindent 2 }}
volumeMounts:
  {{- toYaml .extraVolumeMounts | nindent 2 }}
{{- end }}
{{- end }}

{{- define "base.volumes" -}}
{{- toYaml (index .Values "ho-microservice").extraVolumes }}
{{- end }}
