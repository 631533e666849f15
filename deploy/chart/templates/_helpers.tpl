{{- define "labels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Writes the documents of a file, with the chart's labels and those given: [root, file, labels]. */}}
{{- define "manifests" -}}
{{- $root := index . 0 }}
{{- $labels := merge (include "labels" $root | fromYaml) (index . 2 | default dict) $root.Values.labels }}
{{- range splitList "\n---\n" ($root.Files.Get (index . 1)) }}
{{- $document := fromYaml . }}
{{- $_ := set $document.metadata "labels" (merge $labels ($document.metadata.labels | default dict)) }}
{{- if and (hasPrefix "MutatingAdmissionPolicy" $document.kind) (semverCompare "<1.36.0-0" $root.Capabilities.KubeVersion.Version) }}
{{- $_ := set $document "apiVersion" "admissionregistration.k8s.io/v1beta1" }}
{{- end }}
{{- if $document.spec.paramRef }}
{{- $_ := set $document.spec.paramRef "namespace" $root.Release.Namespace }}
{{- end }}
---
{{ toYaml $document }}
{{ end }}
{{- end }}
