#!/usr/bin/env bash
# The man page and the completions know every command and every option that --help prints, and no others.
set -euo pipefail
sluice=${SLUICE:?the binary}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
completion=$root/packaging/completion
bad=0
complain() {
  echo "$*"
  bad=1
}
# options_of TEXT: long options, one a line
options_of() { grep -oE -- '--[a-z][a-z-]+' <<<"$1" | sort -u; }
compare() { # label, wanted, found
  local missing surplus
  missing=$(comm -23 <(echo "$2") <(echo "$3") | xargs) surplus=$(comm -13 <(echo "$2") <(echo "$3") | xargs)
  [[ -z $missing ]] || complain "$1 lacks $missing"
  [[ -z $surplus ]] || complain "$1 has $surplus, which --help does not know"
}

commands=$("$sluice" --help | sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p')
[[ $(wc -w <<<"$commands") -ge 5 ]] || complain "sluice --help lists too few commands: $commands"
man=$(sed 's/\\-/-/g' "$root/docs/man/sluice.1")
everywhere=$(awk '/^Options of every command/ { on = 1 } /^\.SH/ { on = 0 } on' <<<"$man")
for command in $commands; do
  # An option stands at the beginning of its line; elsewhere it is mentioned.
  wanted=$("$sluice" "$command" --help | sed -nE '/^Options:/,/^$/s/^  (-h,)?(--[a-z-]+).*/\2/p' | sort -u)
  section=$(awk -v head=".SH SLUICE ${command^^}" '/^\.SH/ { on = ($0 == head) } on' <<<"$man")
  [[ -n $section ]] || complain "the man page has no section for $command"
  # The man page says once what every command has.
  page=$(grep -E '^\.(B|BI|BR) +(-h|--)' <<<"$section" || true)
  common=$(comm -12 <(options_of "$everywhere") <(echo "$wanted"))
  compare "man page, $command:" "$wanted" "$(sort -u <(options_of "$page") <(echo "$common"))"
  compare "sluice.bash, $command:" "$wanted" "$(options_of "$(grep -E "^    $command\) words=" "$completion/sluice.bash")")"
  compare "_sluice, $command:" "$wanted" "$(options_of "$(awk -v c="    $command)" '$0 == c { on = 1 } /;;/ { on = 0 } on' "$completion/_sluice")")"
  compare "sluice.fish, $command:" "$wanted" \
    "$(sed -nE "s/.*__fish_seen_subcommand_from $command' -l ([a-z-]+).*/--\1/p" "$completion/sluice.fish" | sort -u)"
done

for shell in bash:sluice.bash zsh:_sluice fish:sluice.fish; do
  command -v "${shell%%:*}" >/dev/null || continue
  "${shell%%:*}" -n "$completion/${shell##*:}" || complain "${shell##*:} has a syntax error"
done
if command -v man >/dev/null; then
  warnings=$(man --warnings --encoding=UTF-8 --local-file "$root/docs/man/sluice.1" 2>&1 >/dev/null) || complain 'the man page cannot be shown'
  [[ -z $warnings ]] || complain "the man page: $warnings"
fi
exit $bad
