{{/* The name of the release's objects, short enough for every suffix. */}}
{{- define "tokenrelay.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if not (contains $name .Release.Name) }}{{ $name = printf "%s-%s" .Release.Name $name }}{{ else }}{{ $name = .Release.Name }}{{ end }}
{{- default $name .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- end }}

{{- define "tokenrelay.serviceAccount" -}}
{{- default (ternary (include "tokenrelay.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* The labels that select the pods of a component, or of all. Takes top and component. */}}
{{- define "tokenrelay.selector" -}}
app.kubernetes.io/name: {{ default .top.Chart.Name .top.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .top.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/*
The metadata of one object. Takes top, and if need be component, name, labels
and annotations. Where labels clash the chart's win: its selectors need them.
*/}}
{{- define "tokenrelay.metadata" -}}
{{- $labels := dict "app.kubernetes.io/managed-by" .top.Release.Service "app.kubernetes.io/version" .top.Chart.AppVersion }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .top.Chart.Name .top.Chart.Version | replace "+" "_") }}
{{- $selector := include "tokenrelay.selector" . | fromYaml -}}
name: {{ default (list (include "tokenrelay.fullname" .top) .component | compact | join "-") .name }}
namespace: {{ .top.Release.Namespace }}
labels:
  {{- merge $labels $selector (default dict .labels) .top.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) .top.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
