{{/* CEL: the writer is the webhook. */}}
{{- define "active-passive.isWebhookAccount" -}}
request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "active-passive.webhook" . }}'
{{- end }}

{{/* CEL: namespaces in which nothing is injected, as a list. */}}
{{- define "active-passive.excludedList" -}}
{{ append .Values.webhook.excludedNamespaces .Release.Namespace | uniq | toJson | replace "\"" "'" }}
{{- end }}

{{/*
Validations of whatever the webhook writes: by whom, and that an object does not change hands. An owner
that is not there would have the garbage collector delete it.
*/}}
{{- define "active-passive.webhookWrites" -}}
- expression: "request.userInfo.?extra[?'authentication.kubernetes.io/pod-uid'].hasValue()"
  message: tokens of this account are used only from inside a pod
- expression: >-
    oldObject == null
    ? !object.metadata.?finalizers.hasValue() && !object.metadata.?ownerReferences.hasValue()
    && !object.metadata.?labels.hasValue() && !object.metadata.?annotations.hasValue()
    : object.metadata.?finalizers == oldObject.metadata.?finalizers
    && object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences
    && object.metadata.?labels == oldObject.metadata.?labels
    && object.metadata.?annotations == oldObject.metadata.?annotations
  message: the webhook writes no owners, finalizers, labels or annotations here
{{- end }}

{{/* Validations of an account or a binding that the webhook makes for a group. */}}
{{- define "active-passive.webhookMakes" -}}
- expression: "request.userInfo.?extra[?'authentication.kubernetes.io/pod-uid'].hasValue()"
  message: tokens of this account are used only from inside a pod
- expression: >-
    object.metadata.name.startsWith('active-passive-group-')
    && !(object.metadata.namespace in {{ include "active-passive.excludedList" . }})
  message: the webhook makes accounts and bindings of groups, where something is injected
- expression: >-
    oldObject == null
    ? !object.metadata.?finalizers.hasValue() && !object.metadata.?ownerReferences.hasValue()
    : object.metadata.?finalizers == oldObject.metadata.?finalizers
    && object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences
  message: the webhook writes no owners or finalizers of accounts and bindings
{{- end }}

{{/* Validations of entries that policies need. */}}
{{- define "active-passive.policyEntries" -}}
- expression: >-
    variables.policies.all(w, w.?failurePolicy.orValue('') == 'Ignore'
    && !w.clientConfig.?url.hasValue()
    && w.clientConfig.?service.?name.orValue('') == '{{ include "active-passive.webhook" . }}'
    && w.clientConfig.?service.?namespace.orValue('') == '{{ .Release.Namespace }}')
  message: an entry for a policy ignores failures, and asks the webhook itself
- expression: >-
    variables.policies.all(w, w.?namespaceSelector.?matchExpressions.orValue([]).exists(e,
    e.key == 'kubernetes.io/metadata.name' && e.operator == 'NotIn'
    && {{ include "active-passive.excludedList" . }}.all(n, n in e.?values.orValue([]))))
  message: an entry for a policy leaves out the namespaces in which nothing is injected
{{- end }}
