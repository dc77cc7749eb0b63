{{/* A label selector, as the schema of policies has it. */}}
{{- define "active-passive.selectorSchema" -}}
type: object
properties:
  matchLabels:
    type: object
    maxProperties: 20
    additionalProperties:
      type: string
      maxLength: 63
  matchExpressions:
    type: array
    maxItems: 20
    items:
      type: object
      required: [key, operator]
      properties:
        key:
          type: string
          minLength: 1
          maxLength: 316
        operator:
          type: string
          enum: [In, NotIn, Exists, DoesNotExist]
        values:
          type: array
          maxItems: 50
          items:
            type: string
            maxLength: 63
      x-kubernetes-validations:
        - rule: "self.operator in ['In', 'NotIn'] ? size(self.?values.orValue([])) > 0 : size(self.?values.orValue([])) == 0"
          message: "In and NotIn compare with values: add some. Exists and DoesNotExist compare with nothing: remove them"
{{- end }}

{{/* Some workloads, and what there is to say about each. */}}
{{- define "active-passive.workloadsSchema" -}}
type: array
maxItems: 20
items:
  type: object
  required: [namespace, kind, name, why]
  properties:
    namespace:
      type: string
    kind:
      type: string
    name:
      type: string
    why:
      type: string
{{- end }}

{{/* CEL: the annotations of a pod template that policies may have defaults for. */}}
{{- define "active-passive.defaultKeys" -}}
'active-passive.dev/profile',
'active-passive.dev/lease-duration',
'active-passive.dev/renew-deadline',
'active-passive.dev/retry-period',
'active-passive.dev/role-label',
'active-passive.dev/active-value',
'active-passive.dev/passive-value',
'active-passive.dev/handover',
'active-passive.dev/drain-timeout',
'active-passive.dev/hold-app',
'active-passive.dev/settle',
'active-passive.dev/containers',
'active-passive.dev/unready-grace',
'active-passive.dev/priority',
'active-passive.dev/status-dir',
'active-passive.dev/notify-url',
'active-passive.dev/elector-env',
'active-passive.dev/service-account',
'active-passive.dev/resources'
{{- end }}

{{/* Profiles of the contract. */}}
{{- define "active-passive.profiles" -}}
default, apsc, service-leader-election, leader-labeler, leader-labeler-v0.3, leader-elector
{{- end }}
