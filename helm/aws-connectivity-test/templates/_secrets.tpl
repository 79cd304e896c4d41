{{/*
Values are stored in the release and shown by `helm get values`: a secret is refused there, with the place for it.
The schema could only say "false schema".
*/}}
{{- define "chart.refuseSecrets" -}}
{{- $places := dict
  "OPENAI_API_KEY" (printf "put it into the Secret %s-openai, key api-key (the ExternalSecret of this chart fetches it)" (include "base.fullname" .))
  "POSTGRES_PASSWORD" "put it into a Secret of yours and name that in envFrom"
  "AWS_ACCESS_KEY_ID" "static keys are not used: give the ServiceAccount a role (IRSA or EKS Pod Identity)"
  "AWS_SECRET_ACCESS_KEY" "static keys are not used: give the ServiceAccount a role (IRSA or EKS Pod Identity)"
}}
{{- range $name, $place := $places }}
{{- if include "base.setting" (list $ $name) }}
{{- fail (printf "environment variable %s: a secret does not belong into values: %s" $name $place) }}
{{- end }}
{{- end }}
{{- end }}
