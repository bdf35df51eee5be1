{{- define "serin.selector" -}}
app.kubernetes.io/name: serin
app.kubernetes.io/component: controller
{{- end }}

{{- define "serin.labels" -}}
app.kubernetes.io/name: serin
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "serin.metadata" -}}
name: serin
namespace: {{ .Release.Namespace }}
labels:
  {{- include "serin.labels" . | nindent 2 }}
{{- end }}
