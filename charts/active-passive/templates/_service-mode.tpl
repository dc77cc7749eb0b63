{{/* Its Deployment, account and Lease. */}}
{{- define "active-passive.serviceMode" -}}
active-passive-service-mode
{{- end }}

{{/* Labels of its objects. */}}
{{- define "active-passive.serviceModeLabels" -}}
{{ include "active-passive.labels" . }}
app.kubernetes.io/component: service-mode
{{- end }}

{{/* What its Deployment selects by; never changes between versions. */}}
{{- define "active-passive.serviceModeSelector" -}}
app.kubernetes.io/name: active-passive
app.kubernetes.io/component: service-mode
{{- end }}

{{/* CEL: a Service asks for Service mode. Takes the variable that holds it. */}}
{{- define "active-passive.asksForServiceMode" -}}
({{ . }}.metadata.?annotations[?'active-passive.dev/mode'].orValue('') == 'active-passive'
|| {{ . }}.metadata.?annotations[?'qoqo.dev/service-mode'].orValue('') != '')
{{- end }}

{{/* CEL: the writer is Service mode. */}}
{{- define "active-passive.isServiceMode" -}}
request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "active-passive.serviceMode" . }}'
{{- end }}

{{/* CEL: the object is in a namespace that Service mode has to do with. */}}
{{- define "active-passive.isIncluded" -}}
!(object.metadata.namespace in {{ append .Values.webhook.excludedNamespaces .Release.Namespace | uniq | toJson | replace "\"" "'" }})
{{- end }}

{{/* CEL: which Services somebody decides on, or did: where they point follows from an annotation. */}}
{{- define "active-passive.routed" -}}
object.spec.?selector.hasValue()
&& (object.metadata.?annotations[?'active-passive.dev/group'].hasValue()
|| object.spec.?selector[?'active-passive.dev/pod'].hasValue()
|| {{ include "active-passive.asksForServiceMode" "object" }}
|| (oldObject != null && {{ include "active-passive.asksForServiceMode" "oldObject" }}))
{{- end }}
