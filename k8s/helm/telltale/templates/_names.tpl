{{/* Names and labels: one place for each. */}}
{{- define "telltale.name" -}}
{{- if contains "telltale" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-telltale" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of what belongs to the whole cluster: two releases of one name may live in two namespaces. */}}
{{- define "telltale.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "telltale.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "telltale.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "telltale.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "telltale.selector" -}}
app.kubernetes.io/name: telltale
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "telltale.labels" -}}
{{ include "telltale.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "telltale.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the webhook's certificate, where it is mounted. */}}
{{- define "telltale.webhookSecret" -}}
{{- if eq .Values.webhook.certificates "secret" -}}
{{- required "webhook.secret.name: needed with webhook.certificates: secret" .Values.webhook.secret.name -}}
{{- else -}}
{{- include "telltale.name" . }}-webhook
{{- end -}}
{{- end -}}

{{/* The files of Secrets: a list of {file, variable, name, key}. */}}
{{- define "telltale.secretFiles" -}}
{{- $files := list -}}
{{- with .Values.kafka.sasl.passwordSecret -}}
{{- $files = append $files (dict "file" "kafka-password" "variable" "TELLTALE_KAFKA_SASL_PASSWORD_FILE" "name" .name "key" .key) -}}
{{- end -}}
{{- $tls := .Values.kafka.tls -}}
{{- range $part, $variable := dict "ca" "CAFILE" "certificate" "CERTFILE" "key" "KEYFILE" -}}
{{- with index $tls $part -}}
{{- $files = append $files (dict "file" (printf "kafka-%s" $part) "variable" (printf "TELLTALE_KAFKA_SSL_%s" $variable) "name" .name "key" .key) -}}
{{- end -}}
{{- end -}}
{{- $files | toJson -}}
{{- end -}}
