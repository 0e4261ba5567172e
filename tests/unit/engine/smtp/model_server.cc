#include "tests/unit/engine/smtp/model_server.h"

#include <algorithm>

namespace sluice::engine::smtp {

ModelServer::ModelServer(std::mt19937& random, Faults faults)
    : random_(random),
      faults_(faults),
      has_ehlo_(random() % 8 != 0),
      has_pipelining_(has_ehlo_ && random() % 3 != 0) {
  answer("220 mx.example");
}

void ModelServer::say(std::string_view text) {
  said_ += std::string(text) + (random_() % 8 ? "\r\n" : "\n");
  ++replies_unheard_;
}

char ModelServer::answer(std::string_view granted) {
  if (is_gone_) return 0;
  if (one_in_hundred(faults_.dropped)) {
    is_gone_ = true;
    return 0;
  }
  if (one_in_hundred(faults_.closing)) {
    say("421 4.3.2 closing");
    is_gone_ = is_closing_ = true;
    return '4';
  }
  // Two such faults could make a client see a whole exchange that never was.
  if (!has_spoken_out_of_turn_ && one_in_hundred(faults_.nonsense)) {
    constexpr const char* all[] = {"199 what", "nonsense", "250-a\r\n251 b", "999 x"};
    say(random_() % 2 ? all[random_() % 4] : granted[0] == '3' ? "250 done" : "354 go on");
    return '!';
  }
  if (one_in_hundred(faults_.refused)) {
    const bool is_final = random_() % 2;
    say(is_final ? "550-5.7.1 no\r\n550 5.7.1 never" : "450 4.2.0 later");
    return is_final ? '5' : '4';
  }
  say(granted);
  return granted[0];
}

std::string ModelServer::speak(size_t octets_max) {
  std::string part = said_.substr(0, octets_max);
  said_.erase(0, part.size());
  if (said_.empty()) {
    replies_unheard_ = 0;
    is_data_unanswered_ = false;
  }
  return part;
}

void ModelServer::hear(std::string_view octets) {
  if (octets.empty()) return;
  if (is_closing_ && said_.empty()) violation = "spoke after 421";
  heard_ += octets;
  for (size_t end; (end = heard_.find("\r\n")) != std::string::npos;) {
    const std::string line = heard_.substr(0, end);
    heard_.erase(0, end + 2);
    // What comes once it is gone was on its way.
    if (is_gone_) continue;
    if (is_data_unanswered_ && !has_spoken_out_of_turn_)
      violation = "spoke before DATA was answered";
    if (state_ == State::content) {
      content_line(line);
      continue;
    }
    // Of a reply out of turn the client may have heard nothing yet, and the one before it whole.
    const bool is_due = replies_unheard_ > 0 && !has_spoken_out_of_turn_;
    if (!has_pipelining_ && is_due) violation = "more than one command at a time: " + line;
    if (!has_spoken_out_of_turn_)
      commands_unanswered_most = std::max(commands_unanswered_most, replies_unheard_ + 1);
    command(line);
  }
}

void ModelServer::command(std::string_view line) {
  const auto path = [&] {
    return std::string(line.substr(line.find('<') + 1, line.find('>') - line.find('<') - 1));
  };
  if (line.starts_with("EHLO ")) {
    if (!has_ehlo_) return say("502 what?");
    answer(has_pipelining_ ? "250-mx\r\n250 PIPELINING" : "250 mx");
  } else if (line.starts_with("HELO ")) {
    if (has_ehlo_ && faults_.refused == 0) violation = "HELO though EHLO is known";
    answer("250 mx");
  } else if (line.starts_with("MAIL FROM:<")) {
    if (is_envelope_open_) violation = "MAIL within a transaction";
    sender_ = path();
    if (mails.contains(sender_)) violation = "the same transaction twice";
    recipients_granted_ = 0;
    mails[sender_].mail_class = answer("250 ok");
    is_envelope_open_ = mails[sender_].mail_class == '2';
  } else if (line.starts_with("RCPT TO:<")) {
    Mail& mail = mails[sender_];
    if (mail.recipients.contains(path())) violation = "the same recipient twice";
    char& said = mail.recipients[path()];
    if (!is_envelope_open_) {
      say("503 MAIL first");
      said = '5';
    } else if (recipients_granted_ > 0 && !is_gone_ && one_in_hundred(faults_.too_many)) {
      constexpr const char* all[] = {"452 too many recipients", "552 too many recipients",
                                     "452 4.5.3 too many recipients", "550 5.5.3 split it"};
      say(all[random_() % 4]);
      said = '+';
    } else {
      said = answer("250 ok");
    }
    recipients_granted_ += said == '2';
  } else if (line == "DATA") {
    Mail& mail = mails[sender_];
    is_data_unanswered_ = true;
    if (recipients_granted_ == 0 && random_() % 2) {
      say("554 no valid recipients");
      mail.data_class = '5';
      return;
    }
    mail.data_class = answer("354 go on");
    if (mail.data_class == '3') state_ = State::content;
  } else if (line == "RSET") {
    is_envelope_open_ = false;
    answer("250 ok");
  } else if (line == "QUIT") {
    say("221 bye");
    is_gone_ = true;
  } else {
    violation = "no such command: " + std::string(line);
  }
}

void ModelServer::content_line(std::string_view line) {
  Mail& mail = mails[sender_];
  if (line != ".") {
    (mail.content += line) += "\r\n";
    if (!is_gone_ && one_in_hundred(faults_.out_of_turn)) {
      say(random_() % 2 ? "552 too big" : "451 no room");
      mail.was_refused_early = true;
      is_gone_ = true;
    }
    return;
  }
  state_ = State::idle;
  is_envelope_open_ = false;
  if (recipients_granted_ == 0) {
    if (!mail.content.empty()) violation = "content though there is no recipient";
    say(random_() % 2 ? "554 no valid recipients" : "250 an empty message for nobody");
    return;
  }
  mail.dot_class = answer("250 queued");
  if (!is_gone_ && one_in_hundred(faults_.out_of_turn)) {
    say("250 and once more");
    has_spoken_out_of_turn_ = true;
  }
}

}  // namespace sluice::engine::smtp
