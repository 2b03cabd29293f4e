{{/*
The request-identity key and its public half. Helm can make an ed25519 key but has no function for its public key, so that
is cut out of a certificate made with it. Both are remembered in the chart's values: in one render everyone sees one key,
whoever asks first, a parent chart too:

  include "restate.publicKey" .Subcharts.restate
*/}}

{{- define "restate.identityName" -}}
{{- .Values.identity.existingSecret | default (printf "%s-identity" (include "restate.fullname" .)) -}}
{{- end }}

{{- define "restate.identityKey" -}}
{{- ternary .Values.identity.secretKey "private.pem" (ne .Values.identity.existingSecret "") -}}
{{- end }}

{{/* The chart's own private key: the one that the cluster holds, else a new one. */}}
{{- define "restate.privateKey" -}}
{{- if not (hasKey .Values.identity "privateKeyMade") -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace (include "restate.identityName" .) -}}
{{- $kept := dig "data" "private.pem" "" $secret | b64dec -}}
{{- $_ := set .Values.identity "privateKeyMade" ($kept | default (genPrivateKey "ed25519")) -}}
{{- end -}}
{{- .Values.identity.privateKeyMade -}}
{{- end }}

{{/* The public key as services want it, `publickeyv1_...`; nothing when requests are not signed. */}}
{{- define "restate.publicKey" -}}
{{- if .Values.identity.enabled -}}
{{- if .Values.identity.existingSecret -}}
{{- .Values.identity.publicKey -}}
{{- else -}}
{{- if not (hasKey .Values.identity "publicKeyMade") -}}
{{- $_ := set .Values.identity "publicKeyMade" (include "restate.publicKeyOf" (include "restate.privateKey" .)) -}}
{{- end -}}
{{- .Values.identity.publicKeyMade -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* PEM of an ed25519 key -> its public key, the 32 bytes that follow a fixed prefix in DER. */}}
{{- define "restate.publicKeyOf" -}}
{{- $certificate := genSelfSignedCertWithKey "restate" nil nil 1 . -}}
{{- $der := regexReplaceAll "-----[A-Z ]+-----|\\s" $certificate.Cert "" | b64dec -}}
{{- $prefix := "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" -}}
publickeyv1_{{ splitList $prefix $der | rest | first | trunc 32 | include "restate.base58" }}
{{- end }}

{{/* 32 bytes -> base58, by long division; `digits` are the number's, the least first. */}}
{{- define "restate.base58" -}}
{{- $bytes := . -}}
{{- $alphabet := "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz" -}}
{{- $digits := list -}}
{{- $zeros := "" -}}
{{- range $i := until (len $bytes) -}}
  {{- $carry := index $bytes $i | int -}}
  {{- $next := list -}}
  {{- range $digits -}}
    {{- $carry = add $carry (mul . 256) -}}
    {{- $next = append $next (mod $carry 58) -}}
    {{- $carry = div $carry 58 -}}
  {{- end -}}
  {{- range until 2 -}}
    {{- if $carry -}}
      {{- $next = append $next (mod $carry 58) -}}
      {{- $carry = div $carry 58 -}}
    {{- end -}}
  {{- end -}}
  {{- $digits = $next -}}
  {{- if not $digits }}{{ $zeros = print $zeros "1" }}{{ end -}}
{{- end -}}
{{- $zeros -}}
{{- range reverse $digits }}{{ substr (int .) (int (add1 .)) $alphabet }}{{ end -}}
{{- end }}
