#!/usr/bin/env bash
# Checks how the sources are written: which folder includes which, clang-format, clang-tidy.
#
#   tools/lint.sh             all sources
#   tools/lint.sh FILE...     these only
#
# clang-tidy reads how to compile from build/, which `cmake --preset release` makes. It begins with what changed last, and
# begins nothing new after SLUICE_TIDY_SECONDS (300; 0: none at all), so that it cannot take over the time of the tests.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
seconds=${SLUICE_TIDY_SECONDS:-300}
failed=0

if (($#)); then
  sources=("$@")
else
  mapfile -t sources < <(git ls-files -- '*.h' '*.cc')
fi
((${#sources[@]})) || exit 0

# ---- Layers: a header needs no link line, so its #include is looked at here.

# forbid FOLDER REGEX REASON: no source under FOLDER includes what matches.
forbid() {
  local found
  found=$(printf '%s\n' "${sources[@]}" | grep -E "$1" | xargs -r grep -nHE "^ *# *include *[<\"]($2)") || return 0
  printf '%s\n' "$found" "  $3"
  failed=1
}
forbid '^io/' '(spool|engine|tools|tests|bench)/' 'io knows nothing of mail or of who uses it'
forbid '^spool/' '(engine|tools|tests|bench)/' 'spool knows io only'
forbid '^engine/' '(tools|tests|bench)/' 'engine knows io and spool only'
forbid '^tools/' '(tests|bench)/' 'what is shipped does not include what tests it'
forbid '^(io/[^ub]|io/b[^u]|io/u[^r]|spool|engine|tools|tests|bench)' 'liburing' 'io/uring* and its buffer ring are the only doors to the ring'

# ---- Format

if ! clang-format-19 --dry-run -Werror "${sources[@]}"; then
  echo '  clang-format-19 -i FILE... mends it'
  failed=1
fi

# ---- clang-tidy, newest first

((seconds == 0)) && exit "$failed"
if [[ ! -f build/compile_commands.json ]]; then
  echo 'lint.sh: no build/compile_commands.json; run: cmake --preset release' >&2
  exit 1
fi
tidy() {
  if ((EPOCHSECONDS >= until)); then
    echo "not looked at: $1"
  else
    # The commands are g++'s; what clang does not know of them is no finding. Its stderr only counts what it left out.
    clang-tidy-19 --quiet -p build --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-gch "$1" 2>/dev/null
  fi
}
export -f tidy
until=$((EPOCHSECONDS + seconds))
export until
printf '%s\n' "${sources[@]}" | grep '\.cc$' | xargs -r ls -t |
  xargs -r -P "$(nproc)" -I {} bash -c 'tidy "$1"' _ {} || failed=1
exit "$failed"
