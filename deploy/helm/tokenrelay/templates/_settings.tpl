{{/*
What a component is told: its variables as `env`, and as `files` which key of
which existing secret stands in which file of /etc/tokenrelay. No secret itself
is in any value.
*/}}

{{/* The way to the broker. Takes nats, its values, and the path of those. */}}
{{- define "tokenrelay.nats" -}}
{{- $env := dict "NATS_URL" .nats.url }}
{{- $files := list }}
{{- with .nats.auth }}
{{- if ne .method "none" }}
{{- $secret := required (printf "%s.auth.existingSecret: not set, and %s.auth.method is %s" $.path $.path .method) .existingSecret }}
{{- $file := get (dict "creds" "nats.creds" "nkey" "nkey.seed" "password" "password") .method }}
{{- $files = append $files (dict "secret" $secret "key" (default $file .secretKey) "file" (printf "nats/%s" $file)) }}
{{- $variable := get (dict "creds" "NATS_CREDS" "nkey" "NATS_NKEY_FILE" "password" "NATS_PASSWORD_FILE") .method }}
{{- $_ := set $env $variable (printf "/etc/tokenrelay/nats/%s" $file) }}
{{- if eq .method "password" }}
{{- $_ := set $env "NATS_USER" (required (printf "%s.auth.user: not set, and %s.auth.method is password" $.path $.path) .user) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .nats.tls }}
{{- if and .existingSecret (ne (empty .certKey) (empty .keyKey)) }}
{{- fail (printf "%s.tls.certKey and keyKey: one is set and the other is not" $.path) }}
{{- end }}
{{- range $variable, $of := dict "NATS_TLS_CA" (list .caKey "ca.crt") "NATS_TLS_CERT" (list .certKey "tls.crt") "NATS_TLS_KEY" (list .keyKey "tls.key") }}
{{- if and $.nats.tls.existingSecret (first $of) }}
{{- $files = append $files (dict "secret" $.nats.tls.existingSecret "key" (first $of) "file" (printf "nats/%s" (last $of))) }}
{{- $_ := set $env $variable (printf "/etc/tokenrelay/nats/%s" (last $of)) }}
{{- end }}
{{- end }}
{{- end }}
{{- dict "env" $env "files" $files | toYaml }}
{{- end }}

{{/* Takes top and worker. */}}
{{- define "tokenrelay.workerSettings" -}}
{{- $values := .top.Values }}
{{- $settings := include "tokenrelay.nats" (dict "nats" $values.nats "path" "nats") | fromYaml }}
{{- $env := merge (dict "HTTP_ADDR" (printf ":%d" (int .worker.port)) "SHUTDOWN_GRACE" (printf "%ds" (int .worker.shutdownGraceSeconds)) "GOMEMLIMIT" .worker.goMemLimit) $settings.env }}
{{- $files := $settings.files }}
{{- with .worker.providers }}{{ $_ := set $env "PROVIDERS" (join "," .) }}{{ end }}
{{- range $name, $value := omit $values.config "PROVIDERS" }}
{{- if ne (toString $value) "" }}{{ $_ := set $env $name $value }}{{ end }}
{{- end }}
{{- with $values.clevertap }}
{{- if and .accountID (or (empty $.worker.providers) (has "clevertap" $.worker.providers)) }}{{ $_ := set $env "CLEVERTAP_ACCOUNT_ID" .accountID }}{{ end }}
{{- if and .existingSecret (has "clevertap" $.worker.providers) }}
{{- $_ := required "clevertap.accountID: not set, and clevertap.existingSecret is" .accountID }}
{{- $_ := set $env "CLEVERTAP_PASSCODE_FILE" "/etc/tokenrelay/clevertap/passcode" }}
{{- $files = append $files (dict "secret" .existingSecret "key" .secretKey "file" "clevertap/passcode") }}
{{- end }}
{{- end }}
{{- with $values.courier }}
{{- if and .existingSecret (has "courier" $.worker.providers) }}
{{- $_ := set $env "COURIER_API_KEY_FILE" "/etc/tokenrelay/courier/api-key" }}
{{- $files = append $files (dict "secret" .existingSecret "key" .secretKey "file" "courier/api-key") }}
{{- end }}
{{- end }}
{{- dict "env" $env "files" $files | toYaml }}
{{- end }}

{{- define "tokenrelay.consoleSettings" -}}
{{- $values := .Values }}
{{- $console := .Values.console }}
{{- $nats := deepCopy .Values.nats }}
{{- include "tokenrelay.overlay" (dict "base" $nats "over" $console.nats) }}
{{- $settings := include "tokenrelay.nats" (dict "nats" $nats "path" "console.nats") | fromYaml }}
{{- $env := merge (dict "CONSOLE_ADDR" (printf ":%d" (int $console.port)) "GOMEMLIMIT" $console.goMemLimit) $settings.env }}
{{- $secret := required "console.existingSecret: not set, and a console that others can reach demands a password" $console.existingSecret }}
{{- $files := append $settings.files (dict "secret" $secret "key" $console.secretKey "file" "console/password") }}
{{- $_ := set $env "CONSOLE_PASSWORD_FILE" "/etc/tokenrelay/console/password" }}
{{- with $console.tls.existingSecret }}
{{- range $variable, $of := dict "CONSOLE_TLS_CERT" (list $console.tls.certKey "tls.crt") "CONSOLE_TLS_KEY" (list $console.tls.keyKey "tls.key") }}
{{- $files = append $files (dict "secret" $console.tls.existingSecret "key" (first $of) "file" (printf "console/%s" (last $of))) }}
{{- $_ := set $env $variable (printf "/etc/tokenrelay/console/%s" (last $of)) }}
{{- end }}
{{- end }}
{{- with $console.hosts }}{{ $_ := set $env "CONSOLE_HOSTS" (join "," .) }}{{ end }}
{{- with $console.session }}{{ $_ := set $env "CONSOLE_SESSION" . }}{{ end }}
{{- range $name := list "LOG_LEVEL" "LOG_FORMAT" }}
{{- with get $values.config $name }}{{ $_ := set $env $name . }}{{ end }}
{{- end }}
{{- dict "env" $env "files" $files | toYaml }}
{{- end }}
