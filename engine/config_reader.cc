#include "engine/config_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <span>
#include <tuple>
#include <utility>

#include "engine/config_section.h"
#include "engine/config_toml.h"
#include "engine/config_value.h"
#include "engine/dkim/key.h"
#include "engine/intake/users.h"
#include "engine/mail/charset.h"
#include "engine/nearest_name.h"
#include "engine/protection.h"
#include "engine/tls/context.h"
#include "io/bind_probe.h"
#include "io/check.h"

namespace sluice::engine {

namespace {

unsigned line_of(const toml::node& node) { return static_cast<unsigned>(node.source().begin.line); }
unsigned line_of(const toml::key& key) { return static_cast<unsigned>(key.source().begin.line); }

/// Of a section that may come once or as a list of them; none: it is no section.
std::vector<const toml::table*> tables_of(const toml::node& node) {
  std::vector<const toml::table*> tables;
  if (const toml::table* table = node.as_table()) tables.push_back(table);
  if (const toml::array* list = node.as_array())
    for (const toml::node& element : *list)
      if (const toml::table* table = element.as_table()) tables.push_back(table);
  return tables;
}

/// One reading of one file.
class Reader {
 public:
  Reader(const std::string& path, bool look_at_files)
      : path_(path), look_at_files_(look_at_files) {}

  void read(const toml::table& document);
  void add_error(unsigned line, std::string field, std::string message);
  std::expected<Config, std::vector<ConfigError>> result() &&;
  void set_standards();

 private:
  using SettingCallback = std::function<void(const ConfigKey&, ConfigValue, unsigned line)>;

  ConfigError made_error(unsigned line, std::string field, std::string message) const;
  void read_section(std::string_view section, const std::string& field, const toml::table& table,
                    const SettingCallback& set);
  void read_object(std::string_view section, const std::string& field, const toml::table& table,
                   void* target);
  void read_top(const toml::key& key, const toml::node& node);
  void read_destinations(const toml::table& patterns);
  void read_destination(const toml::key& key, const toml::table& table);
  void read_senders(const toml::table& patterns);
  void read_sources(const toml::table& names);
  void check_sources();
  void read_listeners(const toml::node& node);
  void read_dkim(const toml::table& domains);
  void check_signer(const DkimPolicy& policy, const toml::table& table, const std::string& field);
  void check_listener(const ListenPolicy& listener, const toml::table& table);
  void check_certificate(const ListenPolicy& listener, const toml::table& table);
  void check_admin(const toml::table& table);
  void check_tls_report(const toml::table& document);
  void check_destinations();
  void check_security(const Config::Section& section);
  void check_file(const std::string& file, unsigned line, std::string field);
  void check_users(const std::string& file, unsigned line, const std::string& field);
  void unknown_key(std::string_view section, const std::string& field, const toml::key& key,
                   const toml::node& node);
  void store_standards(std::string_view section, void* target);

  std::string path_;
  bool look_at_files_;
  Config config_;
  std::vector<SecurityPolicy> sound_;  // those without a mistake
  std::vector<ConfigError> errors_;
  struct Mention {
    std::string source, field;
    unsigned line = 0;
  };
  std::vector<Mention> mentions_;  // of sources
};

void Reader::add_error(unsigned line, std::string field, std::string message) {
  errors_.push_back(made_error(line, std::move(field), std::move(message)));
}

ConfigError Reader::made_error(unsigned line, std::string field, std::string message) const {
  ConfigError error{
      .file = path_, .line = line, .field = std::move(field), .message = std::move(message)};
  error.text = line == 0 ? path_ : fmt::format("{}:{}", path_, line);
  if (!error.field.empty()) error.text += ": " + error.field;
  error.text += ": " + error.message;
  return error;
}

void Reader::unknown_key(std::string_view section, const std::string& field, const toml::key& key,
                         const toml::node& node) {
  const std::string name(key.str());
  std::vector<std::string_view> known;
  for (const ConfigKey& k : config_keys(section)) known.push_back(k.name);
  for (const ConfigSection& s : config_sections())
    if (s.name.starts_with(section) && s.name.size() > section.size() &&
        s.name[section.size()] == '.')
      known.push_back(s.name.substr(section.size() + 1));

  std::string advice;
  const std::string_view near = nearest_name(name, known);
  const auto elsewhere = std::ranges::find(config_keys(), std::string_view(name), &ConfigKey::name);
  if (node.is_table() && section == "destination") {
    advice = "; a pattern with dots needs quotes: [destination.\"example.net\"]";
  } else if (node.is_table() && section == "dkim") {
    advice = "; the domain needs quotes: [dkim.\"example.net\"]";
  } else if (!near.empty()) {
    advice = fmt::format("; did you mean {}?", near);
  } else if (elsewhere != config_keys().end()) {
    const auto home =
        std::ranges::find(config_sections(), elsewhere->section, &ConfigSection::name);
    advice = fmt::format("; it belongs in {}", home->heading);
  }
  add_error(line_of(key), config_field(field, name), "unknown key" + advice);
}

void Reader::read_section(std::string_view section, const std::string& field,
                          const toml::table& table, const SettingCallback& set) {
  for (const auto& [name, node] : table) {
    const ConfigKey* key = find_config_key(section, name.str());
    const bool is_sub_table =
        section == "destination" && !config_keys(fmt::format("destination.{}", name.str())).empty();
    if (is_sub_table && node.is_table()) continue;
    if (!key) {
      if (is_sub_table)
        add_error(line_of(name), config_field(field, name.str()),
                  fmt::format("{} is not a table", toml_text(node)));
      else
        unknown_key(section, field, name, node);
      continue;
    }
    auto value = parse_toml_value(*key, node);
    if (!value) {
      add_error(line_of(name), config_field(field, name.str()), std::move(value.error()));
      continue;
    }
    if (key->type == ConfigType::source)
      mentions_.push_back(
          {std::get<std::string>(*value), config_field(field, name.str()), line_of(name)});
    set(*key, *std::move(value), line_of(name));
  }
  for (const ConfigKey& key : config_keys(section))
    if (key.standard.empty() && !table.contains(key.name))
      add_error(line_of(table), config_field(field, key.name), "is missing");
}

void Reader::read_object(std::string_view section, const std::string& field,
                         const toml::table& table, void* target) {
  read_section(section, field, table,
               [this, target, &field](const ConfigKey& key, ConfigValue value, unsigned line) {
                 if (key.type == ConfigType::file)
                   check_file(std::get<std::string>(value), line, config_field(field, key.name));
                 if (key.type == ConfigType::users)
                   check_users(std::get<std::string>(value), line, config_field(field, key.name));
                 key.store(target, value);
               });
}

void Reader::check_file(const std::string& file, unsigned line, std::string field) {
  if (!look_at_files_ || file.empty()) return;
  errno = 0;
  std::ifstream stream(file);
  // A folder opens, and then cannot be read.
  if (stream.is_open()) stream.peek();
  if (!stream.is_open() || stream.bad() || errno != 0)
    add_error(line, std::move(field),
              fmt::format("\"{}\" cannot be read: {}", file, std::strerror(errno)));
}

void Reader::check_users(const std::string& file, unsigned line, const std::string& field) {
  if (!look_at_files_ || file.empty()) return;
  const auto users = intake::Users::load(file);
  if (users) return;
  for (const intake::UsersError& error : users.error())
    add_error(line, field,
              error.line == 0 ? fmt::format("\"{}\" {}", file, error.message)
                              : fmt::format("{}:{}: {}", file, error.line, error.message));
}

void Reader::store_standards(std::string_view section, void* target) {
  for (const ConfigKey& key : config_keys(section))
    if (!key.standard.empty()) key.store(target, standard_value(key));
}

void Reader::set_standards() {
  config_.source = path_;
  for (const std::string_view section : {"engine", "dns", "report", "admin", "tls_report"})
    store_standards(section, &config_);
}

void Reader::read(const toml::table& document) {
  for (const auto& [key, node] : document) read_top(key, node);
  check_destinations();
  check_sources();
  check_tls_report(document);
}

void Reader::read_top(const toml::key& key, const toml::node& node) {
  const std::string_view name = key.str();
  const std::string field(name);
  const toml::table* table = node.as_table();
  std::vector<std::string_view> known;
  for (const ConfigSection& section : config_sections())
    if (section.name.find('.') == std::string_view::npos) known.push_back(section.name);
  if (std::ranges::find(known, name) == known.end()) {
    const auto home = std::ranges::find(config_keys(), name, &ConfigKey::name);
    const std::string_view near = nearest_name(name, known);
    std::string advice;
    if (!near.empty()) advice = fmt::format("; did you mean {}?", near);
    if (!node.is_table() && home != config_keys().end())
      advice = fmt::format(
          "; it belongs in {}",
          std::ranges::find(config_sections(), home->section, &ConfigSection::name)->heading);
    add_error(line_of(key), field, (node.is_table() ? "unknown section" : "unknown key") + advice);
  } else if (name == "listen") {
    read_listeners(node);
  } else if (!table) {
    add_error(line_of(key), field,
              fmt::format("{} is not a section; write [{}]", toml_text(node), name));
  } else if (name == "destination") {
    read_destinations(*table);
  } else if (name == "sender") {
    read_senders(*table);
  } else if (name == "source") {
    read_sources(*table);
  } else if (name == "dkim") {
    read_dkim(*table);
  } else {
    read_object(name, field, *table, &config_);
    if (name == "admin") check_admin(*table);
  }
}

void Reader::read_destinations(const toml::table& patterns) {
  for (const auto& [key, node] : patterns) {
    if (const toml::table* table = node.as_table())
      read_destination(key, *table);
    else
      add_error(
          line_of(key), config_field("destination", key.str()),
          "stands outside of a pattern; for every destination write it below [destination.\"*\"]");
  }
}

void Reader::read_destination(const toml::key& key, const toml::table& table) {
  const std::string field = config_field("destination", key.str());
  auto section = std::make_shared<Config::Section>();
  std::string_view name = key.str();
  const std::string_view prefix = name.starts_with("*.") ? "*." : "";
  if (name == "*" || is_address_literal(name)) {
    section->pattern = name;
  } else if (const auto domain = ascii_domain(name.substr(prefix.size()))) {
    section->pattern = std::string(prefix) + *domain;
  } else {
    add_error(line_of(key), field,
              "is not a pattern; write \"*\", \"*.example.net\" or \"example.net\"");
  }
  const bool is_known = std::ranges::any_of(
      config_.sections, [&](const auto& other) { return other->pattern == section->pattern; });
  if (is_known && !section->pattern.empty())
    add_error(line_of(key), field, "is the same pattern as another section's");

  const auto set = [&](const ConfigKey& k, ConfigValue value, unsigned line) {
    section->settings.push_back(
        {.key = &k, .value = std::move(value), .place = {.file = path_, .line = line}});
  };
  read_section("destination", field, table, set);
  for (const auto& [name_of_part, node] : table) {
    const std::string part = fmt::format("destination.{}", name_of_part.str());
    if (node.is_table() && !config_keys(part).empty())
      read_section(part, config_field(field, name_of_part.str()), *node.as_table(), set);
  }
  config_.sections.push_back(std::move(section));
}

void Reader::check_destinations() {
  for (const auto& section : config_.sections) check_security(*section);
  const ConfigKey* first = find_config_key("destination.retry", "first");
  const ConfigKey* ceiling = find_config_key("destination.retry", "ceiling");
  for (const auto& section : config_.sections) {
    const auto* decisive = section->find(*first);
    if (!decisive) decisive = section->find(*ceiling);
    if (!decisive) continue;
    const DestinationPolicy policy = config_.destination(section->pattern);
    if (policy.retry.first <= policy.retry.ceiling) continue;
    const std::string field = config_field(config_field("destination", section->pattern), "retry");
    add_error(decisive->place.line, config_field(field, decisive->key->name),
              fmt::format("retry.first ({}) is above retry.ceiling ({})",
                          duration_text(policy.retry.first), duration_text(policy.retry.ceiling)));
  }
}

void Reader::read_senders(const toml::table& patterns) {
  for (const auto& [key, node] : patterns) {
    const std::string field = config_field("sender", key.str());
    const std::string_view name = key.str();
    const auto domain = name.starts_with("*@") ? ascii_domain(name.substr(2)) : std::nullopt;
    const toml::table* table = node.as_table();
    if (!table || (name != "*" && !domain)) {
      add_error(line_of(key), field,
                "is not a pattern; write [sender.\"*@example.net\"] or [sender.\"*\"]");
      continue;
    }
    SenderPolicy& policy = config_.senders.emplace_back();
    policy.pattern = domain ? "*@" + *domain : "*";
    store_standards("sender", &policy);
    read_object("sender", field, *table, &policy);
    if (const toml::node* source = table->get("source"))
      policy.source_place = {.file = path_, .line = line_of(*source)};
  }
}

/// Told where the section sets one of the keys that do not fit each other.
void Reader::check_security(const Config::Section& section) {
  const std::string name =
      section.pattern.starts_with('*') ? section.pattern.substr(1) : section.pattern;
  const SecurityPolicy policy = config_.destination(name).security;
  if (std::ranges::find(sound_, policy) != sound_.end()) return;
  const auto mistakes = find_mistakes(policy, look_at_files_);
  if (mistakes.empty()) return sound_.push_back(policy);
  const std::string field = config_field("destination", section.pattern);
  for (const auto& [keys, message] : mistakes) {
    const auto is_here = [&section](std::string_view key) {
      return !key.empty() && section.find(*find_config_key("destination", key)) != nullptr;
    };
    const auto* const key = std::ranges::find_if(keys, is_here);
    if (key == keys.end()) continue;
    const unsigned line = section.find(*find_config_key("destination", *key))->place.line;
    add_error(line, config_field(field, *key), message);
  }
}

void Reader::read_sources(const toml::table& names) {
  for (const auto& [key, node] : names) {
    const std::string field = config_field("source", key.str());
    const std::vector<const toml::table*> tables = tables_of(node);
    if (tables.empty() || key.str().empty())
      add_error(line_of(key), field, "is not a section; write [[source.\"news\"]]");
    for (const toml::table* table : tables) {
      SourceAddress& source = config_.sources.emplace_back();
      source.source = key.str();
      store_standards("source", &source);
      read_object("source", field, *table, &source);
      if (source.local.is_none()) continue;
      const std::string address = source.text();
      const unsigned line = line_of(*table->get("address"));
      for (const SourceAddress& other :
           std::span(config_.sources).first(config_.sources.size() - 1))
        if (other.source == source.source && other.local == source.local)
          add_error(line, config_field(field, "address"),
                    fmt::format("\"{}\" is another section's address as well", address));
      if (look_at_files_ && io::probe_bind(source.local) < 0)
        config_.warnings.push_back(
            made_error(line, config_field(field, "address"),
                       fmt::format("\"{}\" is not an address of this machine", address)));
    }
  }
}

void Reader::check_sources() {
  std::vector<std::string_view> known;
  for (const SourceAddress& source : config_.sources) known.push_back(source.source);
  for (const Mention& mention : mentions_) {
    if (mention.source.empty() || std::ranges::find(known, mention.source) != known.end()) continue;
    const std::string_view near = nearest_name(mention.source, known);
    add_error(mention.line, mention.field,
              fmt::format("there is no [[source.\"{}\"]]{}", mention.source,
                          near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
  }
}

void Reader::read_listeners(const toml::node& node) {
  const toml::array* list = node.as_array();
  if (!list || !list->is_homogeneous(toml::node_type::table)) {
    add_error(line_of(node), "listen", "is a list of sections; write [[listen]]");
    return;
  }
  for (const toml::node& element : *list) {
    ListenPolicy listener;
    store_standards("listen", &listener);
    const toml::table& table = *element.as_table();
    read_object("listen", "listen", table, &listener);
    check_listener(listener, table);
    config_.listen.push_back(std::move(listener));
  }
}

void Reader::check_listener(const ListenPolicy& listener, const toml::table& table) {
  const auto line_of_key = [&table](std::string_view name) {
    return table.contains(name) ? line_of(*table.get(name)) : line_of(table);
  };
  const bool has_certificate = !listener.tls_certificate.empty();
  if (has_certificate != !listener.tls_key.empty()) {
    const std::string_view there = has_certificate ? "tls_certificate" : "tls_key";
    add_error(line_of_key(there), config_field("listen", there),
              fmt::format("needs {} as well", has_certificate ? "tls_key" : "tls_certificate"));
  }
  if (listener.tls == ListenTls::implicit && !has_certificate && listener.tls_key.empty())
    add_error(line_of_key("tls"), "listen.tls", "\"implicit\" needs tls_certificate and tls_key");
  if (!listener.users.empty() && !has_certificate)
    add_error(line_of_key("users"), "listen.users",
              "needs tls_certificate and tls_key: AUTH is offered only under TLS");
  const bool has_authorities = !listener.tls_client_ca_file.empty();
  if (has_authorities && !has_certificate)
    add_error(line_of_key("tls_client_ca_file"), "listen.tls_client_ca_file",
              "needs tls_certificate and tls_key");
  if (!listener.allow_certificates.empty() && !has_authorities)
    add_error(line_of_key("allow_certificates"), "listen.allow_certificates",
              "needs tls_client_ca_file: who is to vouch for them?");
  check_certificate(listener, table);
  for (const ListenPolicy& other : config_.listen)
    if (other.address == listener.address)
      add_error(line_of_key("address"), "listen.address",
                fmt::format("\"{}\" is another section's address as well", listener.address));
}

/// Of files that cannot be read check_file() spoke.
void Reader::check_certificate(const ListenPolicy& listener, const toml::table& table) {
  const tls::ServerFiles files{listener.tls_certificate, listener.tls_key,
                               listener.tls_client_ca_file};
  if (!look_at_files_ || files.certificate.empty() || files.key.empty()) return;
  for (const std::string& file : {files.certificate, files.key, files.client_authorities})
    if (!file.empty() && !std::ifstream(file).is_open()) return;
  const auto made = tls::Context::server(files);
  if (made) return;
  constexpr std::array<std::string_view, 3> names = {"tls_certificate", "tls_key",
                                                     "tls_client_ca_file"};
  const std::string_view name = names[static_cast<size_t>(made.error().file)];
  add_error(line_of(*table.get(name)), config_field("listen", name),
            fmt::format("\"{}\" {}", files.of(made.error().file), made.error().message));
}

void Reader::check_admin(const toml::table& table) {
  if (config_.admin_address.empty() || !config_.admin_token_file.empty()) return;
  const auto address = io::SocketAddress::parse(config_.admin_address);
  const std::string& text = config_.admin_address;
  if (address && !text.starts_with("127.") && !text.starts_with("[::1]"))
    add_error(line_of(*table.get("address")), "admin.address",
              fmt::format("\"{}\" is not on loopback; that needs a token_file", text));
}

/// RFC 8460 section 3: a report without a signature of its sender must be ignored.
void Reader::check_tls_report(const toml::table& document) {
  const toml::node* const table = document.get("tls_report");
  if (table == nullptr || !table->is_table()) return;
  const auto line = [&](const char* key) {
    const toml::node* const node = table->as_table()->get(key);
    return node == nullptr ? line_of(*table) : line_of(*node);
  };
  const auto& [from, organization, contact] = config_.tls_report;
  if (from.empty()) {
    if (!organization.empty() || !contact.empty())
      add_error(line("from"), "tls_report.from", "is missing: no reports are made without it");
    return;
  }
  const std::string domain = mail::to_lower(from.substr(from.rfind('@') + 1));
  if (!is_hostname(domain) || !mail::is_ascii(from))
    return add_error(
        line("from"), "tls_report.from",
        fmt::format("\"{}\" is not an address in ASCII of a domain in A-labels", from));
  const bool is_signed = std::ranges::any_of(config_.dkim, [&](const DkimPolicy& policy) {
    return domain == policy.domain || domain.ends_with("." + policy.domain);
  });
  if (!is_signed)
    config_.warnings.push_back(made_error(
        line("from"), "tls_report.from",
        fmt::format("there is no [dkim.\"{}\"]; reports without a signature are passed over by "
                    "those who get them",
                    domain)));
}

void Reader::read_dkim(const toml::table& domains) {
  for (const auto& [key, node] : domains) {
    const std::string field = config_field("dkim", key.str());
    const auto domain = ascii_domain(key.str());
    if (!domain) add_error(line_of(key), field, "is not a domain; write [dkim.\"example.net\"]");
    const std::vector<const toml::table*> tables = tables_of(node);
    if (tables.empty())
      add_error(line_of(key), field,
                "is not a section; write [dkim.\"example.net\"], the domain in quotes");
    for (const toml::table* table : tables) {
      DkimPolicy policy{.domain = domain.value_or("")};
      store_standards("dkim", &policy);
      read_object("dkim", field, *table, &policy);
      check_signer(policy, *table, field);
      for (const DkimPolicy& other : config_.dkim)
        if (other.domain == policy.domain && other.selector == policy.selector &&
            !policy.selector.empty())
          add_error(line_of(*table), config_field(field, "selector"),
                    fmt::format("\"{}\" is another section's selector as well", policy.selector));
      config_.dkim.push_back(std::move(policy));
    }
  }
}

void Reader::check_signer(const DkimPolicy& policy, const toml::table& table,
                          const std::string& field) {
  if (policy.end <= policy.start && table.contains("end"))
    add_error(line_of(*table.get("end")), config_field(field, "end"), "is not later than start");
  if (!look_at_files_ || policy.key.empty()) return;
  if (const auto key = dkim::Key::load(policy.key); !key)
    add_error(line_of(*table.get("key")), config_field(field, "key"),
              fmt::format("\"{}\" {}", policy.key, key.error()));
}

std::expected<Config, std::vector<ConfigError>> Reader::result() && {
  for (std::vector<ConfigError>* list : {&errors_, &config_.warnings})
    std::ranges::sort(*list, {}, [](const ConfigError& error) {
      return std::tie(error.line, error.field, error.message);
    });
  if (errors_.empty()) return std::move(config_);
  return std::unexpected(std::move(errors_));
}

}  // namespace

std::string config_field(std::string_view prefix, std::string_view name) {
  constexpr std::string_view bare =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  const bool is_bare = !name.empty() && name.find_first_not_of(bare) == std::string_view::npos;
  return is_bare ? fmt::format("{}.{}", prefix, name) : fmt::format("{}.\"{}\"", prefix, name);
}

ConfigValue read_standard_value(const ConfigKey& key) {
  if (key.standard.empty()) return std::string();
  const toml::table document = toml::parse(fmt::format("value = {}", key.standard));
  auto value = parse_toml_value(key, *document.get("value"));
  CHECK(value.has_value());
  return *std::move(value);
}

std::expected<Config, std::vector<ConfigError>> read_config(std::string_view toml,
                                                            const std::string& path,
                                                            bool look_at_files) {
  Reader reader(path, look_at_files);
  reader.set_standards();
  try {
    reader.read(toml::parse(toml, path));
  } catch (const toml::parse_error& error) {
    reader.add_error(static_cast<unsigned>(error.source().begin.line), "",
                     std::string(error.description()));
  }
  return std::move(reader).result();
}

}  // namespace sluice::engine
