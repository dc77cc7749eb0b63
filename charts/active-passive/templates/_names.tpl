{{/*
Names are fixed, not made from the release's: the ClusterRoles and policies are cluster-wide and known
to the programs by name, so a cluster holds one installation.
*/}}
{{- define "active-passive.webhook" -}}
active-passive-webhook
{{- end }}

{{/* The MutatingWebhookConfiguration. */}}
{{- define "active-passive.configuration" -}}
active-passive
{{- end }}

{{/* The Secret with the webhook's certificate and the authority to trust for it. */}}
{{- define "active-passive.certificateSecret" -}}
{{- if eq .Values.certificates.mode "secret" -}}
{{ required "certificates.mode is secret: set certificates.secretName to a Secret with tls.crt, tls.key and ca.crt" .Values.certificates.secretName }}
{{- else -}}
active-passive-webhook-certificate
{{- end }}
{{- end }}

{{/* What a Deployment or Service selects by; never changes between versions. */}}
{{- define "active-passive.selectorLabels" -}}
app.kubernetes.io/name: active-passive
app.kubernetes.io/component: webhook
{{- end }}

{{/* Labels of every object of this chart. */}}
{{- define "active-passive.labels" -}}
app.kubernetes.io/name: active-passive
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
Reference of an image. Takes a list: the image's values, the chart's appVersion.
A digest wins over a tag; both may be given, and then both are written.
*/}}
{{- define "active-passive.image" -}}
{{- $image := index . 0 -}}
{{- $tag := $image.tag | default (ternary "" (index . 1) (not (empty $image.digest))) -}}
{{- $image.repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{/* Namespaces in which nothing is injected: what the cluster needs to start, and ourselves. */}}
{{- define "active-passive.namespaceSelector" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{ append .Values.webhook.excludedNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{/*
Who derives the selector key of an annotated Service: Policy (the API server itself), Webhook, or
Sidecar (neither of them).
*/}}
{{- define "active-passive.routingRule" -}}
{{- if ne .Values.routing.rule "Auto" -}}
{{ .Values.routing.rule }}
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
Policy
{{- else -}}
Webhook
{{- end -}}
{{- end }}

{{/* CEL: the writer is in none of the groups that the fencing does not judge. */}}
{{- define "active-passive.notExempt" -}}
!request.userInfo.groups.exists(g, g in {{ .Values.fencing.exemptGroups | toJson | replace "\"" "'" }})
{{- end }}

{{/* Binding of a fencing policy. Takes a list: the root, the policy's name. */}}
{{- define "active-passive.fencingBinding" -}}
{{- $root := index . 0 -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ index . 1 }}
  labels:
    {{- include "active-passive.labels" $root | nindent 4 }}
    app.kubernetes.io/component: fencing
spec:
  policyName: {{ index . 1 }}
  validationActions: [{{ $root.Values.fencing.mode }}]
{{- end }}
