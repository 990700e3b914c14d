{{/* A DNS label with room for suffixes. A release's name may contain dots, a Service's may not. */}}
{{- define "tiltyard.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) }}{{ $name = printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- $name | replace "." "-" | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "tiltyard.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "tiltyard.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "tiltyard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "tiltyard.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "tiltyard.fullname" .) -}}
{{- else -}}
{{- required "serviceAccount.name: name the account, or set serviceAccount.create to true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Of several replicas each prefers a node of its own, unless the values say how they are spread. */}}
{{- define "tiltyard.affinity" -}}
{{- $given := .Values.affinity | default dict -}}
{{- $spread := dict -}}
{{- if and (gt (int .Values.replicas) 1) (not (hasKey $given "podAntiAffinity")) -}}
{{- $pods := dict "matchLabels" (include "tiltyard.selector" . | fromYaml) -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $pods -}}
{{- $preferred := list (dict "weight" 100 "podAffinityTerm" $term) -}}
{{- $spread = dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $preferred) -}}
{{- end -}}
{{- merge $spread $given | toYaml -}}
{{- end -}}

{{/* An image by its digest, else by its tag: (dict "image" .Values.image "chart" .Chart) */}}
{{- define "tiltyard.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Exactly the calls that the operator makes. */}}
{{- define "tiltyard.rules" -}}
- apiGroups: [tiltyard.dev]
  resources: [tournaments]
  verbs: [list, watch]
- apiGroups: [tiltyard.dev]
  resources: [tournaments/status]
  verbs: [patch]
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices, llminferenceservices]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [serving.kserve.io]
  resources: [localmodelnamespacecaches]
  verbs: [list, create, patch]
- apiGroups: [serving.kserve.io]
  resources: [localmodelcaches]
  verbs: [list]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [trainer.kubeflow.org]
  resources: [trainjobs]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [trainer.kubeflow.org]
  resources: [clustertrainingruntimes, trainingruntimes]
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, list]
{{- if .Values.queues.readWorkloads }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: [list]
{{- end }}
{{- end -}}

{{/* Patterns in which * stands for any text, as one regular expression in a literal of CEL. */}}
{{- define "tiltyard.patterns" -}}
{{- $expressions := list -}}
{{- range . }}{{ $expressions = append $expressions (regexQuoteMeta . | replace "\\*" ".*") }}{{ end -}}
{{- printf "^(%s)$" (join "|" $expressions) | toJson -}}
{{- end -}}

{{/* "match one of …, where * is any text"; of no patterns: "be absent". */}}
{{- define "tiltyard.oneOf" -}}
{{- if . }}match one of {{ join ", " . }}, where * is any text{{ else }}be absent{{ end -}}
{{- end -}}

{{/* Names are resolved; 5353 is where OpenShift's DNS pods listen. */}}
{{- define "tiltyard.dnsEgress" -}}
- ports:
    {{- range list 53 5353 }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}
