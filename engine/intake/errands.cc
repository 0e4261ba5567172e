#include "engine/intake/errands.h"

#include <string.h>

#include <optional>
#include <utility>

#include "spool/rule_files.h"

namespace sluice::engine::intake {

void Errands::turn() {
  proactor().wait(was_busy_ ? io::Instant{} : io::never, 64);
  was_busy_ = false;
  for (const auto& desk : desks()) was_busy_ |= serve(*desk);
}

bool Errands::serve(Desk& desk) {
  std::optional<Errand> errand = desk.questions.pop();
  if (!errand) return false;
  ErrandResult result;
  if (errand->users)
    result = check_password(*errand);
  else
    result.outcome = hand_off(*errand);
  result.number = errand->number;
  explicit_bzero(errand->credentials.password.data(), errand->credentials.password.size());
  answer(desk, std::move(result));
  return true;
}

ErrandResult Errands::check_password(const Errand& errand) {
  using enum ErrandResult::Outcome;
  if (!failures_.may_try(errand.client, proactor().now())) return {.outcome = later};
  const smtp::Credentials& credentials = errand.credentials;
  if (errand.users->check(credentials.user, credentials.password)) {
    failures_.right(errand.client);
    return {.outcome = done};
  }
  return {.outcome = refused, .delay = failures_.wrong(errand.client, proactor().now())};
}

ErrandResult::Outcome Errands::hand_off(const Errand& errand) {
  for (const std::string& rule : errand.rules)
    if (!spool::hand_off_rule(proactor(), spool_, rule)) return ErrandResult::Outcome::refused;
  return ErrandResult::Outcome::done;
}

}  // namespace sluice::engine::intake
