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
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Reference of an image. Takes a list: the root, webhook or sidecar.
A digest wins over a tag; both may be given, and then both are written.
*/}}
{{- define "active-passive.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $image := (get $root.Values $name).image -}}
{{- $digest := $image.digest -}}
{{- $tag := $image.tag | default (ternary "" $root.Chart.AppVersion (not (empty $digest))) -}}
{{- required (printf "no images are published: push them to a registry of yours (docs/install.md says how), and set %s.image.repository to where %s is, such as registry.example.com/active-passive/%s" $name $name $name) $image.repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with $digest }}@{{ . }}{{ end -}}
{{- end }}

{{/* The namespaced objects of monitoring; its kinds come with the Prometheus operator. */}}
{{- define "active-passive.monitored" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "active-passive.labels" $root | nindent 2 }}
  app.kubernetes.io/component: monitoring
  {{- with $root.Values.monitoring.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
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

{{/* CEL: the writer is the account of a group. Its namespace may be called like one. */}}
{{- define "active-passive.isGroupAccount" -}}
request.userInfo.username.matches('^system:serviceaccount:[^:]+:active-passive-group-')
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

{{/* Labels by which meshes leave a pod alone: the API server is in none. */}}
{{- define "active-passive.meshLabels" -}}
sidecar.istio.io/inject: "false"
istio.io/dataplane-mode: none
kuma.io/sidecar-injection: disabled
{{- end }}

{{/* Annotations for the same. */}}
{{- define "active-passive.meshAnnotations" -}}
linkerd.io/inject: disabled
consul.hashicorp.com/connect-inject: "false"
{{- end }}

{{/* Where pods of the chart run, and from where they are pulled. */}}
{{- define "active-passive.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.webhook.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.webhook.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
# No runAsUser: the image names a numeric user, and OpenShift chooses its own.
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{/* Which nodes are preferred. Takes a list: the root, and what holds where the user says nothing. */}}
{{- define "active-passive.affinity" -}}
{{- with mergeOverwrite (index . 1) (deepCopy (index . 0).Values.webhook.affinity) -}}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What no container of the chart may. */}}
{{- define "active-passive.confined" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end }}

{{/* Metadata of what is there while a hook of Helm runs. Takes a list: the root, name, hook, weight. */}}
{{- define "active-passive.hooked" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
labels:
  {{- include "active-passive.labels" $root | nindent 2 }}
  app.kubernetes.io/component: {{ index . 2 }}
annotations:
  helm.sh/hook: {{ index . 2 }}
  helm.sh/hook-weight: {{ index . 3 | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{/* CEL: of the spec of a Service, nothing but its selector has changed. */}}
{{- define "active-passive.sameButSelector" -}}
object.spec.?ports == oldObject.spec.?ports
&& object.spec.?type == oldObject.spec.?type
&& object.spec.?clusterIP == oldObject.spec.?clusterIP
&& object.spec.?clusterIPs == oldObject.spec.?clusterIPs
&& object.spec.?externalIPs == oldObject.spec.?externalIPs
&& object.spec.?externalName == oldObject.spec.?externalName
&& object.spec.?externalTrafficPolicy == oldObject.spec.?externalTrafficPolicy
&& object.spec.?internalTrafficPolicy == oldObject.spec.?internalTrafficPolicy
&& object.spec.?trafficDistribution == oldObject.spec.?trafficDistribution
&& object.spec.?healthCheckNodePort == oldObject.spec.?healthCheckNodePort
&& object.spec.?ipFamilies == oldObject.spec.?ipFamilies
&& object.spec.?ipFamilyPolicy == oldObject.spec.?ipFamilyPolicy
&& object.spec.?publishNotReadyAddresses == oldObject.spec.?publishNotReadyAddresses
&& object.spec.?sessionAffinity == oldObject.spec.?sessionAffinity
&& object.spec.?sessionAffinityConfig == oldObject.spec.?sessionAffinityConfig
&& object.spec.?allocateLoadBalancerNodePorts == oldObject.spec.?allocateLoadBalancerNodePorts
&& object.spec.?loadBalancerClass == oldObject.spec.?loadBalancerClass
&& object.spec.?loadBalancerIP == oldObject.spec.?loadBalancerIP
&& object.spec.?loadBalancerSourceRanges == oldObject.spec.?loadBalancerSourceRanges
{{- end }}
