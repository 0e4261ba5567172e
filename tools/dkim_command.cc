#include "tools/dkim_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/mem.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/config_value.h"
#include "engine/dkim/dns_record.h"
#include "engine/dkim/key.h"
#include "tools/command_line.h"

namespace sluice::tools {

using engine::dkim::Algorithm;
using engine::dkim::Key;

namespace {

constexpr const char* examples = R"(
Verbs:
  keygen   make a key, and print the record to publish in DNS

Examples:
  sluice dkim keygen --domain news.example --selector s1 --out /etc/sluice/s1.pem
  sluice dkim keygen --domain news.example --selector e1 --type ed25519 --out /etc/sluice/e1.pem
  sluice check --dns     is what is published the keys of the configuration?

The file is for its owner alone (0600): make it as the user that sluice runs as, or chown it. A file that is
there is never overwritten.

Exit codes: 0 done, 64 usage, 73 the file cannot be made.
)";

struct Arguments {
  std::string verb, domain, selector, type = "rsa", out;
  unsigned bits = Key::rsa_bits_max;
  bool json = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("verb", arguments.verb, "What to do")
      ->type_name("keygen")
      ->required()
      ->check([](const std::string& verb) {
        return verb == "keygen" ? "" : fmt::format("'{}' is no verb: keygen", verb);
      });
  app.add_option("--domain", arguments.domain, "Whose mail it signs: the author's domain")
      ->type_name("DOMAIN")
      ->required();
  app.add_option("--selector", arguments.selector, "The key's name below _domainkey.DOMAIN")
      ->type_name("NAME")
      ->required();
  app.add_option("--type", arguments.type, "Default: rsa, which every receiver verifies")
      ->type_name("rsa|ed25519")
      ->check([](const std::string& type) {
        return type == "rsa" || type == "ed25519"
                   ? ""
                   : fmt::format("'{}' is no type of key: rsa or ed25519", type);
      });
  app.add_option("--bits", arguments.bits, "Of an RSA key; default: 2048")
      ->type_name(fmt::format("{}-{}", Key::rsa_bits_min, Key::rsa_bits_max))
      ->check([](const std::string& text) {
        const bool is_number =
            !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == text.npos;
        const unsigned bits = is_number ? static_cast<unsigned>(std::stoul(text)) : 0;
        return bits >= Key::rsa_bits_min && bits <= Key::rsa_bits_max
                   ? ""
                   : fmt::format(
                         "'{}' is not {} to {} (one of more takes so long to sign that "
                         "deliveries would wait)",
                         text, Key::rsa_bits_min, Key::rsa_bits_max);
      });
  app.add_option("--out", arguments.out, "Where the private key is written")
      ->type_name("FILE")
      ->required();
  app.add_flag("--json", arguments.json, "Print the result as JSON");
}

/// Whole and on the disk, or not at all. 0, or errno.
int write_private(const std::string& path, std::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return errno;
  errno = 0;
  const bool is_written =
      write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      fsync(file) == 0;
  const int error = is_written ? 0 : errno != 0 ? errno : ENOSPC;
  close(file);
  if (error != 0) unlink(path.c_str());
  return error;
}

int complain(std::string_view message, int code) {
  fmt::print(stderr, "sluice dkim: {}\n", message);
  return code;
}

void print(const Arguments& arguments, const std::string& name, const Key& key) {
  const std::string text = record_text(key);
  if (arguments.json) {
    const nlohmann::ordered_json out = {
        {"file", arguments.out}, {"algorithm", engine::dkim::name(key.algorithm())},
        {"bits", key.bits()},    {"name", name},
        {"text", text},          {"zone", engine::dkim::zone_text(name, text)}};
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print("{}", engine::dkim::zone_text(name, text));
}

}  // namespace

int dkim_command(int argc, char** argv) {
  CLI::App app("Makes keys that sign mail (DKIM).", "sluice dkim");
  app.footer(examples);
  Arguments arguments;
  declare(app, arguments);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  const auto domain = engine::ascii_domain(arguments.domain);
  if (!domain)
    return complain(fmt::format("--domain {}: is not a domain", arguments.domain), EX_USAGE);
  if (!engine::is_hostname(arguments.selector))
    return complain(
        fmt::format("--selector {}: is not a selector; write one such as s1", arguments.selector),
        EX_USAGE);
  const auto key = Key::generate(
      arguments.type == "rsa" ? Algorithm::rsa_sha256 : Algorithm::ed25519_sha256, arguments.bits);
  std::string pem = key->pem();
  const int error = write_private(arguments.out, pem);
  OPENSSL_cleanse(pem.data(), pem.size());
  if (error == EEXIST)
    return complain(fmt::format("{} is there already, and is left as it is", arguments.out),
                    EX_CANTCREAT);
  if (error != 0)
    return complain(fmt::format("{} cannot be made: {}", arguments.out, std::strerror(error)),
                    EX_CANTCREAT);
  print(arguments, engine::dkim::record_name(arguments.selector, *domain), *key);
  return EX_OK;
}

}  // namespace sluice::tools
