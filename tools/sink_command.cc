#include "tools/sink_command.h"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/command_line.h"
#include "tools/sink/server.h"

namespace sluice::tools {
namespace {

constexpr const char* examples = R"(
Phases: greeting, ehlo, starttls, mail, rcpt, data, final_dot, rset, quit; block (within the content: drop, stall, delay) and connect (drop).
Actions: a reply (451, '550 5.7.1 no thanks'), drop (closes), stall (never answers), garbage (no SMTP), slow (an octet a second).
A message counts once its final dot was answered with 250.

Examples:
  sluice sink --listen 127.0.0.1:2525
  sluice sink --count 100000 --quiet --json > result.json
  sluice sink --save mails --fault rcpt:451@10 --delay final_dot=5s
  sluice sink --fault 'mail:550 5.7.1 not from you@5' --fault final_dot:drop@1
  sluice sink --tls-certificate mx.pem --tls-key mx.key    (STARTTLS)
  sluice sink --extensions '8BITMIME,SIZE 10000000'    (no PIPELINING)

SIGTERM and SIGINT end it. Exit codes: 0 done, 64 usage, 66 no certificate or key, 69 io_uring or the address is not to be had, 73 DIR cannot be written.
)";

void print_json(const sink::Result& result, double rate) {
  const sink::Tally& tally = result.tally;
  const std::chrono::duration<double> last_s = result.last.time_since_epoch();
  const nlohmann::ordered_json out = {{"messages", tally.messages},
                                      {"recipients", tally.recipients},
                                      {"distinct_recipients", tally.distinct_recipients.size()},
                                      {"duplicates", tally.duplicates()},
                                      {"bytes", tally.bytes},
                                      {"messages_tls", tally.messages_tls},
                                      {"messages_signed", tally.messages_signed},
                                      {"seconds", result.seconds},
                                      {"last_monotonic_s", last_s.count()},
                                      {"messages_per_s", rate},
                                      {"connections", tally.connections},
                                      {"connections_peak", result.connections_peak},
                                      {"tls_handshakes", tally.handshakes},
                                      {"tls_resumed", tally.resumed},
                                      {"refusals", tally.refusals},
                                      {"drops", tally.drops}};
  fmt::print("{}\n", out.dump(2));
}

void print_text(const sink::Result& result, double rate) {
  const sink::Tally& tally = result.tally;
  fmt::print(
      "messages    {} ({:.0f}/s in {:.1f} s)\n"
      "recipients  {} ({} distinct)\n"
      "duplicates  {} (same recipient and Message-ID)\n"
      "bytes       {}\n"
      "connections {} (at most {} at once)\n",
      tally.messages, rate, result.seconds, tally.recipients, tally.distinct_recipients.size(),
      tally.duplicates(), tally.bytes, tally.connections, result.connections_peak);
  if (tally.handshakes > 0)
    fmt::print("TLS         {} messages, {} handshakes ({} resumed)\n", tally.messages_tls,
               tally.handshakes, tally.resumed);
  if (tally.refusals + tally.drops > 0)
    fmt::print("faults      {} refusals, {} connections dropped\n", tally.refusals, tally.drops);
}

int usage(const std::string& error) {
  fmt::print(stderr, "sluice sink: {}; see sluice sink --help\n", error);
  return EX_USAGE;
}

/// nullopt, or the exit code after a message.
std::optional<int> prepare_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!error && access(directory.c_str(), W_OK | X_OK) != 0)
    error = std::error_code(errno, std::generic_category());
  if (!error) return std::nullopt;
  fmt::print(stderr, "sluice sink: cannot save to {}: {}\n", directory, error.message());
  return EX_CANTCREAT;
}

/// nullopt, or the exit code after a message.
std::optional<int> open_tls(sink::Options& options, const std::string& certificate,
                            const std::string& key) {
  const engine::tls::ServerFiles files{certificate, key, ""};
  auto made = engine::tls::Context::server(files);
  if (!made) {
    fmt::print(stderr, "sluice sink: {} {}\n", files.of(made.error().file), made.error().message);
    return EX_NOINPUT;
  }
  options.tls = std::move(*made);
  options.receiver.has_tls = true;
  options.receiver.extensions.insert(options.receiver.extensions.begin(), "STARTTLS");
  return std::nullopt;
}

int serve(const sink::Options& options, bool quiet, bool json) {
  const auto announce = [](const io::SocketAddress& address) {
    fmt::print(stderr, "sluice sink: listening on {}\n", address.text());
  };
  const auto say_nothing = [](const io::SocketAddress&) {};
  const auto result = sink::serve(options, quiet ? +say_nothing : +announce);
  if (!result) {
    fmt::print(stderr, "sluice sink: {}\n", result.error());
    return EX_UNAVAILABLE;
  }
  const double rate =
      result->seconds > 0 ? static_cast<double>(result->tally.messages) / result->seconds : 0;
  if (json)
    print_json(*result, rate);
  else if (!quiet)
    print_text(*result, rate);
  if (result->save_error == 0) return EX_OK;
  fmt::print(stderr, "sluice sink: cannot save to {}: {}\n", options.directory,
             std::strerror(result->save_error));
  return EX_IOERR;
}

}  // namespace

int sink_command(int argc, char** argv) {
  CLI::App app("Receives mail as a test server, fast, counts it, and fails on demand.",
               "sluice sink");
  app.footer(examples);
  sink::Options options;
  std::string listen = "127.0.0.1:2525", certificate, key, unused_config;
  std::vector<std::string> delays, faults;
  std::optional<std::string> extensions;
  bool quiet = false, json = false;
  app.add_option("--listen", listen, "Address to listen on; port 0: any free one")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  app.add_option("--count", options.messages_until_end, "End after N messages")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  app.add_option("--save", options.directory,
                 "Save each message to a file here before it is answered, behind Return-Path and "
                 "Delivered-To lines of its envelope")
      ->type_name("DIR");
  app.add_option("--delay", delays, "Answer in this phase only after TIME, as final_dot=5s")
      ->type_name("PHASE=TIME");
  app.add_option("--fault", faults,
                 "Do this instead of answering, always or in PERCENT of the cases")
      ->type_name("PHASE:ACTION[@PERCENT]");
  app.add_option(
         "--extensions", extensions,
         "What EHLO offers, with commas between; default: PIPELINING,SIZE 104857600,8BITMIME,"
         "SMTPUTF8,ENHANCEDSTATUSCODES")
      ->type_name("LIST");
  app.add_option("--tls-certificate", certificate,
                 "PEM file with a certificate and its chain: STARTTLS is offered")
      ->type_name("FILE");
  app.add_option("--tls-key", key, "PEM file with the certificate's key")->type_name("FILE");
  app.add_option("--hostname", options.receiver.hostname, "Name in the greeting")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads that receive")
      ->type_name("N")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--config", unused_config, "Accepted for uniformity; a sink has no configuration")
      ->type_name("FILE");
  app.add_flag("--quiet", quiet, "Say nothing but errors and what --json asks for");
  app.add_flag("--json", json, "Print the result as JSON");
  if (const auto code = parse_command_line(app, argc, argv)) return *code;

  const auto address = io::SocketAddress::parse(listen);
  if (!address) return usage("--listen: " + address.error());
  options.address = *address;
  for (const std::string& delay : delays)
    if (const auto added = options.plan.add_delay(delay); !added)
      return usage("--delay: " + added.error());
  for (const std::string& fault : faults)
    if (const auto added = options.plan.add_fault(fault); !added)
      return usage("--fault: " + added.error());
  if (certificate.empty() != key.empty())
    return usage("--tls-certificate and --tls-key go together");
  if (!certificate.empty())
    if (const auto code = open_tls(options, certificate, key)) return *code;
  if (extensions) options.receiver.extensions = CLI::detail::split(*extensions, ',');
  std::erase_if(options.receiver.extensions, [](const std::string& one) { return one.empty(); });
  options.receiver.keep_content = !options.directory.empty();
  if (!options.directory.empty())
    if (const auto code = prepare_directory(options.directory)) return *code;
  return serve(options, quiet, json);
}

}  // namespace sluice::tools
