#include "tests/sim/world/name_server.h"

#include <arpa/inet.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "io/check.h"
#include "tests/sim/world/dns_octets.h"

namespace sluice::sim {
namespace {

constexpr std::pair<std::string_view, uint16_t> types[] = {
    {"A", 1}, {"CNAME", 5}, {"SOA", 6}, {"MX", 15}, {"AAAA", 28}, {"TLSA", 52}, {"TXT", 16}};
constexpr uint16_t type_cname = 5, type_soa = 6, type_opt = 41;

std::string type_text(uint16_t type) {
  for (const auto& [text, number] : types)
    if (number == type) return std::string(text);
  return "TYPE" + std::to_string(type);
}

uint16_t u16_at(std::string_view octets, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(octets[at]) << 8 |
                               static_cast<unsigned char>(octets[at + 1]));
}

std::string in_lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

}  // namespace

/// A TCP connection: messages behind their lengths, one answer after the other.
class NameServer::Session {
 public:
  Session(NameServer& server, uint64_t number, io::Socket socket)
      : server_(server), number_(number) {
    receive_.socket = send_.socket = close_.socket = socket;
    receive_.bind<&Session::received>(this);
    send_.bind<&Session::sent>(this);
    close_.bind<&Session::closed>(this);
    server_.proactor_.submit(receive_);
  }

  void say(std::string message) {
    if (is_ending_) return;
    output_ += u16(message.size()) + message;
    flush();
  }

 private:
  void received(io::Receive&, const io::Completion& completion) {
    if (!completion.more) return end();
    input_.append(reinterpret_cast<const char*>(completion.bytes.data()), completion.bytes.size());
    while (input_.size() >= 2 && input_.size() >= 2u + u16_at(input_, 0)) {
      Question question;
      const size_t size = u16_at(input_, 0);
      CHECK(parse(input_.substr(2, size), question));
      input_.erase(0, 2 + size);
      server_.handle(std::move(question), true,
                     [&server = server_, number = number_](std::string message) {
                       const auto session = server.sessions_.find(number);
                       if (session != server.sessions_.end())
                         session->second->say(std::move(message));
                     });
    }
  }

  void flush() {
    if (send_.in_flight || output_.empty()) return;
    sending_ = std::exchange(output_, {});
    send_.bytes = std::as_bytes(std::span(sending_));
    server_.proactor_.submit(send_);
  }

  void sent(io::Send&, const io::Completion& completion) {
    if (completion.result < 0 || is_ending_) return end();
    flush();
  }

  void end() {
    is_ending_ = true;
    if (receive_.in_flight && !receive_.cancelled) server_.proactor_.cancel(receive_);
    if (send_.in_flight && !send_.cancelled) server_.proactor_.cancel(send_);
    if (!receive_.in_flight && !send_.in_flight && !close_.in_flight)
      server_.proactor_.submit(close_);
  }

  void closed(io::CloseSocket&, const io::Completion&) {
    server_.sessions_.erase(number_);
  }  // *this is gone

  NameServer& server_;
  const uint64_t number_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  std::string input_, output_, sending_;
  bool is_ending_ = false;
};

NameServer::NameServer(World& world, const io::SocketAddress& address)
    : world_(world), address_(address), proactor_(world.start(Owner::theirs).proactor()) {
  proactor_.drive([this] { proactor_.wait(io::never, 64); });
  world_.network().datagrams().serve(
      address_, [this](const io::SocketAddress& from, std::string octets) {
        Question question;
        CHECK(parse(std::move(octets), question));
        handle(std::move(question), false, [this, from](std::string message) {
          world_.network().datagrams().send(address_, from, std::move(message));
        });
      });
  listen_.bind<&NameServer::listened>(this);
  accept_.bind<&NameServer::accepted>(this);
  listen_.address = address_;
  proactor_.submit(listen_);
}

NameServer::~NameServer() {
  world_.network().datagrams().serve(address_, nullptr);
  proactor_.stop_driving();
}

void NameServer::listened(io::Listen& op, const io::Completion& completion) {
  CHECK(completion.result == 0);
  accept_.listener = op.socket;
  proactor_.submit(accept_);
}

void NameServer::accepted(io::Accept& op, const io::Completion& completion) {
  if (completion.result < 0) return;
  const uint64_t number = ++sessions_made_;
  sessions_[number] = std::make_unique<Session>(*this, number, op.socket);
}

void NameServer::add(std::string_view name, std::string_view type, std::string_view data,
                     uint32_t ttl_s) {
  const auto* known = std::ranges::find(types, type, [](const auto& t) { return t.first; });
  CHECK(known != std::end(types));
  std::string octets(data);
  if (type == "MX") {
    const size_t space = data.find(' ');
    octets = u16(static_cast<size_t>(std::stoi(octets))) + on_the_wire(data.substr(space + 1));
  } else if (type == "CNAME") {
    octets = on_the_wire(data);
  } else if (type == "TXT") {
    octets.insert(octets.begin(), static_cast<char>(data.size()));
  } else if (type == "TLSA") {
    octets.clear();
    for (const size_t at : {0u, 2u, 4u}) octets += static_cast<char>(data[at] - '0');
    for (size_t at = 6; at + 1 < data.size(); at += 2)
      octets += static_cast<char>(std::stoi(std::string(data.substr(at, 2)), nullptr, 16));
  } else {
    char address[16];
    const bool is_v4 = type == "A";
    CHECK(inet_pton(is_v4 ? AF_INET : AF_INET6, octets.c_str(), address) == 1);
    octets.assign(address, is_v4 ? 4 : 16);
  }
  zone_[std::string(name)].push_back({known->second, ttl_s, octets});
}

uint64_t NameServer::questions(const std::string& name, const std::string& type) const {
  const auto found = asked_.find({name, type});
  return found == asked_.end() ? 0 : found->second;
}

bool NameServer::parse(std::string octets, Question& question) {
  if (octets.size() < 12 || u16_at(octets, 4) != 1) return false;
  size_t at = 12;
  std::string name;
  while (at < octets.size() && octets[at] != 0) {
    const auto size = static_cast<unsigned char>(octets[at]);
    if (size > 63 || at + size + 1 >= octets.size()) return false;
    name += (name.empty() ? "" : ".") + octets.substr(at + 1, size);
    at += size + 1u;
  }
  if (at + 5 > octets.size()) return false;
  question.name = in_lower_case(std::move(name));
  question.type = u16_at(octets, at + 1);
  question.end = at + 5;
  // RFC 6891 section 6.1.2: OPT, of the root, tells the size in its class.
  if (u16_at(octets, 10) == 1 && question.end + 11 <= octets.size() &&
      u16_at(octets, question.end + 1) == type_opt)
    question.size_max = u16_at(octets, question.end + 3);
  question.octets = std::move(octets);
  return true;
}

void NameServer::handle(Question question, bool is_tcp, std::function<void(std::string)> send) {
  ++questions_;
  tcp_questions_ += is_tcp;
  const std::string type = type_text(question.type);
  ++asked_[{question.name, type}];
  const Conduct conduct = script ? script(question.name, type) : Conduct{};
  if (conduct.action == Action::silent || (is_tcp && !speaks_tcp)) return;

  // Response, recursion desired and available.
  constexpr unsigned authentic = 0x20;
  const unsigned asked = conduct.is_authentic ? u16_at(question.octets, 2) & authentic : 0;
  const auto head = [&](unsigned flags, size_t answers, size_t authorities) {
    return question.octets.substr(0, 2) + u16(0x8180 | asked | flags) + u16(1) + u16(answers) +
           u16(authorities) + u16(0) + question.octets.substr(12, question.end - 12);
  };
  std::string message;
  if (conduct.action == Action::fail) {
    message = head(conduct.code, 0, 0);
  } else {
    size_t answers = 0;
    const std::string records = answer(question, answers);
    const bool is_known = answers > 0 || zone_.contains(question.name);
    const size_t authorities = answers == 0 && has_soa ? 1 : 0;
    message = head(is_known ? 0 : 3, answers, authorities) + records;
    if (authorities > 0)
      message += record(on_the_wire("test"), type_soa, negative_ttl_s,
                        on_the_wire("ns.test") + on_the_wire("root.test") + u32(1) + u32(2) +
                            u32(3) + u32(4) + u32(negative_ttl_s));
    if (!is_tcp) {
      if (conduct.action == Action::truncate || message.size() > question.size_max)
        message = head(0x0200, 0, 0);
      if (conduct.action == Action::garbage) message.resize(message.size() - 3);
      if (conduct.action == Action::other) message[13] ^= 1;
    }
  }
  world_.after(conduct.delay,
               [send = std::move(send), message = std::move(message)] { send(message); });
}

std::string NameServer::answer(const Question& question, size_t& answers) const {
  std::string records, name = question.name;
  std::string owner = "\xC0\x0C";  // the question's name
  for (unsigned aliases = 0; aliases < 20; ++aliases) {
    const auto found = zone_.find(name);
    if (found == zone_.end()) break;
    const Record* alias = nullptr;
    for (const Record& r : found->second) {
      if (r.type == type_cname) alias = &r;
      if (r.type != question.type) continue;
      records += record(owner, r.type, r.ttl_s, r.data);
      ++answers;
    }
    if (!alias || question.type == type_cname) break;
    records += record(owner, type_cname, alias->ttl_s, alias->data);
    ++answers;
    if (!follows_aliases) break;
    name.clear();
    for (size_t at = 0; alias->data[at] != 0; at += static_cast<size_t>(alias->data[at]) + 1)
      name += (name.empty() ? "" : ".") +
              alias->data.substr(at + 1, static_cast<size_t>(alias->data[at]));
    owner = alias->data;
  }
  return records;
}

}  // namespace sluice::sim
