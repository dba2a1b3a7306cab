{{/* Lays the map over on the map base, key by key. Unlike sprig's merges it also lays false, 0 and nothing. */}}
{{- define "tokenrelay.overlay" -}}
{{- range $key, $value := .over }}
{{- if and (kindIs "map" $value) (kindIs "map" (get $.base $key)) }}
{{- include "tokenrelay.overlay" (dict "base" (get $.base $key) "over" $value) }}
{{- else }}
{{- $_ := set $.base $key $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* The providers that this release delivers to, as a list; empty where only the pods will know. */}}
{{- define "tokenrelay.providers" -}}
{{- $names := splitList "," (nospace .Values.config.PROVIDERS) | compact }}
{{- if not $names }}
{{- if .Values.clevertap.existingSecret }}{{ $names = append $names "clevertap" }}{{ end }}
{{- if .Values.courier.existingSecret }}{{ $names = append $names "courier" }}{{ end }}
{{- end }}
{{- toYaml $names }}
{{- end }}

{{/*
The workers by component, as a map: the values of each, with the providers
that it delivers to, and at `path` where a person finds them.
*/}}
{{- define "tokenrelay.workers" -}}
{{- $all := include "tokenrelay.providers" . | fromYamlArray }}
{{- $workers := dict }}
{{- if .Values.worker.enabled }}
{{- $_ := set $workers "worker" (merge (dict "path" "worker" "providers" $all) (deepCopy .Values.worker)) }}
{{- end }}
{{- if .Values.courierWorker.enabled }}
{{- if not (has "courier" $all) }}
{{- fail "courierWorker.enabled: nothing is delivered to Courier; set courier.existingSecret, or name courier in config.PROVIDERS" }}
{{- end }}
{{- $courier := deepCopy .Values.worker }}
{{- include "tokenrelay.overlay" (dict "base" $courier "over" .Values.courierWorker) }}
{{- $_ := set $workers "courier-worker" (merge (dict "path" "courierWorker" "providers" (list "courier")) $courier) }}
{{- with $workers.worker }}
{{- $_ := set . "providers" (without $all "courier") }}
{{- if not .providers }}
{{- fail "worker.enabled: courierWorker has the only provider, and nothing is left for worker; switch one of them off" }}
{{- end }}
{{- end }}
{{- end }}
{{- range $workers }}
{{- include "tokenrelay.checkScaling" (dict "top" $ "worker" .) }}
{{- end }}
{{- toYaml $workers }}
{{- end }}

{{/* Refuses what would scale into the permits, or not at all. */}}
{{- define "tokenrelay.checkScaling" -}}
{{- $path := printf "%s.autoscaling" .worker.path }}
{{- $cap := int .top.Values.config.CLEVERTAP_MAX_CONCURRENT }}
{{- with .worker.autoscaling }}
{{- if ne .by "none" }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail (printf "%s.maxReplicas: %d is less than minReplicas (%d)" $path (int .maxReplicas) (int .minReplicas)) }}
{{- end }}
{{- if and (ne (join "," $.worker.providers) "courier") (gt (int .maxReplicas) $cap) }}
{{- fail (printf "%s.maxReplicas: %d is more than config.CLEVERTAP_MAX_CONCURRENT (%d): a pod calls CleverTap only with one of the fleet's %d permits, so further pods deliver nothing to it. Set it to %d at most, or scale Courier alone by courierWorker.enabled" $path (int .maxReplicas) $cap $cap $cap) }}
{{- end }}
{{- end }}
{{- if eq .by "keda" }}
{{- if not .keda.monitoringEndpoint }}
{{- fail (printf "%s.keda.monitoringEndpoint: not set, and KEDA reads there what waits; give host:port of the broker's monitoring" $path) }}
{{- end }}
{{- if not (or .keda.account .keda.accountID) }}
{{- fail (printf "%s.keda.account: not set; give the account's name, or accountID where accounts are JWTs" $path) }}
{{- end }}
{{- else if eq .by "hpa" }}
{{- if not (dig "requests" "cpu" "" $.worker.resources) }}
{{- fail (printf "%s.resources.requests.cpu: not set, and %s.by hpa is a share of it" $.worker.path $path) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
