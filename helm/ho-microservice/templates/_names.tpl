{{- define "ho-microservice.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ho-microservice.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-%s" .Release.Name (include "ho-microservice.name" .)) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ho-microservice.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "ho-microservice.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "ho-microservice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ho-microservice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ho-microservice.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{ include "ho-microservice.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
