{{/*
Ports of the webhook's pods: of reviews, and of probes and metrics. What is in the network of a node
shares its ports, and 10250 is the kubelet's there.
*/}}
{{- define "active-passive.securePort" -}}
{{- $webhook := .Values.webhook -}}
{{- $port := int ($webhook.securePort | default (ternary 14270 10250 (eq $webhook.hostNetwork true))) -}}
{{- if and $webhook.hostNetwork (eq $port 10250) -}}
{{ fail "webhook.hostNetwork: 10250 is the kubelet's on every node; leave webhook.securePort at 0, or name another port that is free on the nodes" }}
{{- end -}}
{{- if eq $port (int (include "active-passive.adminPort" .)) -}}
{{ fail "webhook.securePort and webhook.adminPort are one port; name two" }}
{{- end -}}
{{ $port }}
{{- end }}

{{- define "active-passive.adminPort" -}}
{{- $webhook := .Values.webhook -}}
{{ int ($webhook.adminPort | default (ternary 14271 8080 (eq $webhook.hostNetwork true))) }}
{{- end }}
