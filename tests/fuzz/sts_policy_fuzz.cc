// What a web server may serve for an MTA-STS policy, and what may lie in the spool's folder of
// them.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/sts/policy_folder.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::engine::sts;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto policy = parse_policy(text)) {
    CHECK(policy->mode == Policy::Mode::none || !policy->mx.empty());
    CHECK(policy->max_age_s <= Policy::age_s_max && policy->text == text);
    for (const std::string& mx : policy->mx) {
      CHECK(!mx.empty());
      if (mx.starts_with("*."))
        CHECK(policy->names("a" + mx.substr(1)) && !policy->names(mx.substr(1)));
      else
        CHECK(policy->names(mx));
    }
  } else {
    CHECK(!policy.error().empty());
  }
  if (const auto kept = parse_kept(text)) {
    const auto again = parse_kept(text_of(*kept));
    CHECK(again && again->id == kept->id && again->expires == kept->expires &&
          again->fetched == kept->fetched && again->policy->text == kept->policy->text);
  }
  return 0;
}
