{{/*
The pods of one component. Takes top, component, values (of the component),
path (where a person finds those), command, settings (env and files), port (its
number), scheme and ready (the path that says so).
*/}}
{{- define "tokenrelay.pod" -}}
{{- $top := .top }}
{{- $env := .settings.env }}
{{- range .values.extraEnv }}
{{- if hasKey $env .name }}
{{- fail (printf "%s.extraEnv: %s is set by the chart already; use the value for it" $.path .name) }}
{{- end }}
{{- end -}}
metadata:
  labels:
    {{- $selector := include "tokenrelay.selector" (dict "top" $top "component" .component) | fromYaml }}
    {{- merge $selector .values.podLabels $top.Values.commonLabels | toYaml | nindent 4 }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .command.name }}
    {{- with omit (merge (dict) .values.podAnnotations $top.Values.commonAnnotations) "kubectl.kubernetes.io/default-container" }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tokenrelay.serviceAccount" $top }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "tokenrelay.gracePeriod" . }}
  {{- with $top.Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $top.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .command.name }}
      image: {{ include "tokenrelay.image" (dict "top" $top "image" .values.image) | quote }}
      imagePullPolicy: {{ $top.Values.image.pullPolicy }}
      args:
        {{- concat .command.args (default list .values.extraArgs) | toYaml | nindent 8 }}
      env:
        {{- range $name, $value := $env }}
        - name: {{ $name }}
          value: {{ ternary (int64 $value) $value (kindIs "float64" $value) | toString | quote }}
        {{- end }}
        {{- with .values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ int .port }}
      {{- range $probe, $path := dict "startupProbe" "/healthz" "livenessProbe" "/healthz" "readinessProbe" .ready }}
      {{ $probe }}:
        httpGet:
          path: {{ $path }}
          port: http
          scheme: {{ $.scheme }}
        {{- with get $.values $probe }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      {{- with int .values.preStopSeconds }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ . }}
      {{- end }}
      {{- with .values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $top.Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or .settings.files .values.extraVolumeMounts }}
      volumeMounts:
        {{- if .settings.files }}
        # The folder, never a file of it: only so a secret that changes reaches the process.
        - name: secrets
          mountPath: /etc/tokenrelay
          readOnly: true
        {{- end }}
        {{- with .values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    {{- with .values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .settings.files .values.extraVolumes }}
  volumes:
    {{- with .settings.files }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- /* One source a secret, so that a certificate and its key change together. */}}
          {{- $items := dict }}
          {{- range . }}
          {{- $_ := set $items .secret (append (default list (get $items .secret)) (dict "key" .key "path" .file)) }}
          {{- end }}
          {{- range $secret, $of := $items }}
          - secret:
              name: {{ $secret }}
              items:
                {{- toYaml $of | nindent 16 }}
          {{- end }}
    {{- end }}
    {{- with .values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- range .values.topologySpreadConstraints }}
  {{- if not .labelSelector }}{{ $_ := set . "labelSelector" (dict "matchLabels" $selector) }}{{ end }}
  {{- if not (hasKey . "matchLabelKeys") }}{{ $_ := set . "matchLabelKeys" (list "pod-template-hash") }}{{ end }}
  {{- end }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "topologySpreadConstraints" }}
  {{- with get $.values $key }}
  {{- dict $key . | toYaml | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end }}

{{/* Takes top and image, of the component. */}}
{{- define "tokenrelay.image" -}}
{{- $name := list .top.Values.image.registry .image.repository | compact | join "/" }}
{{- if .image.digest }}{{ $name }}@{{ .image.digest }}
{{- else }}{{ $name }}:{{ coalesce .image.tag .top.Values.image.tag .top.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Takes values, path and grace, the seconds that the process itself takes to end. */}}
{{- define "tokenrelay.gracePeriod" -}}
{{- $needed := add .values.preStopSeconds .grace 5 }}
{{- $given := int .values.terminationGracePeriodSeconds }}
{{- if and $given (lt $given (int $needed)) }}
{{- fail (printf "%s.terminationGracePeriodSeconds: %d is less than %d (%s), so pods would be killed in the middle of their end" .path $given $needed .graceOf) }}
{{- end }}
{{- default $needed $given }}
{{- end }}
