#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test. Its last line is `N passed, N failed`; exit 0 only if all passed.
#
#   SLUICE_TEST_PRESETS="release asan tsan"   which builds to test (release)
#   SLUICE_TIDY_SECONDS=0                     see tools/lint.sh
#   CTEST_ARGS='-R unit_io'                   more for ctest
#
# Works from any folder, as often as one likes; what is built already is not built again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
presets=${SLUICE_TEST_PRESETS:-release}

say() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

passed=0 failed=0 summary=()
# report NAME PASSED FAILED
report() {
  passed=$((passed + $2)) failed=$((failed + $3))
  summary+=("$(printf '%-8s %5d passed, %d failed' "$1" "$2" "$3")")
}

test_preset() {
  local preset=$1 log=build/test-$1.log
  say "$preset: build"
  if ! cmake --preset "$preset" >"$log" 2>&1; then
    cat "$log"
    report "$preset" 0 1
    return
  fi
  if ! cmake --build --preset "$preset"; then
    report "$preset" 0 1
    return
  fi

  say "$preset: test"
  # shellcheck disable=SC2086
  ctest --preset "$preset" --parallel "$(nproc)" ${CTEST_ARGS:-} 2>&1 | tee "$log" || true
  # ctest's own closing line: `98% tests passed, 1 tests failed out of 42`.
  if [[ $(<"$log") =~ ([0-9]+)' tests failed out of '([0-9]+) ]]; then
    report "$preset" $((BASH_REMATCH[2] - BASH_REMATCH[1])) "${BASH_REMATCH[1]}"
  else
    report "$preset" 0 1
  fi
}

say 'install what is missing'
tools/setup.sh --test
mkdir -p build

for preset in $presets; do
  test_preset "$preset"
done

say 'lint: layers and format (clang-tidy: tools/lint.sh)'
[[ -f build/compile_commands.json ]] || cmake --preset release >/dev/null
if SLUICE_TIDY_SECONDS=${SLUICE_TIDY_SECONDS:-0} tools/lint.sh; then report lint 1 0; else report lint 0 1; fi

say 'all done'
printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed"
((failed == 0))
