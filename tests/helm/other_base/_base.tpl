{{/* What `helm/aws-connectivity-test/templates/_base.tpl` becomes with this base chart. */}}
{{- define "base.fullname" -}}
{{- (index .Values "ho-microservice").applicationName }}
{{- end }}

{{- define "base.serviceAccountName" -}}
{{- (index .Values "ho-microservice").account.serviceAccountName }}
{{- end }}

{{- define "base.selectorLabels" -}}
app: {{ (index .Values "ho-microservice").applicationName }}
release: {{ .Release.Name }}
{{- end }}

{{- define "base.setting" -}}
{{- $name := last . }}
{{- range (index (first .).Values "ho-microservice").container.env }}
{{- if eq .name $name }}{{ .value }}{{ end }}
{{- end }}
{{- end }}

{{- define "base.podSpec" -}}
enableServiceLinks: false
securityContext:
  {{- toYaml (index .Values "ho-microservice").pod.securityContext | nindent 2 }}
{{- end }}

{{- define "base.container" -}}
{{- toYaml (pick (index .Values "ho-microservice").container "image" "imagePullPolicy" "command" "securityContext" "resources") }}
{{- end }}

{{- define "base.environment" -}}
{{- toYaml (pick (index .Values "ho-microservice").container "env" "envFrom" "volumeMounts") }}
{{- end }}

{{- define "base.volumes" -}}
{{- toYaml (index .Values "ho-microservice").pod.volumes }}
{{- end }}
