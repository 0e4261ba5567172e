#pragma once

#include <memory>
#include <string>

#include "engine/tls/channel.h"
#include "io/event_loop.h"
#include "tools/sink/fault_plan.h"
#include "tools/sink/receiver.h"
#include "tools/sink/saving.h"

namespace sluice::tools::sink {

class Shard;

/// One connection of a sink: does the I/O for a Receiver, and to the peer what the FaultPlan says.
class Session {
 public:
  Session(Shard& shard, io::Socket socket);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();
  /// Sends what the turn's commands were answered with: one send a turn.
  void flush();
  /// Ends the session once what is on its way is out.
  void stop();

 private:
  using Stage = engine::smtp::Stage;
  using Bytes = std::span<const std::byte>;

  void received(io::Receive&, const io::Completion& completion);
  void sent(io::Send&, const io::Completion& completion);
  void closed(io::CloseSocket&, const io::Completion&);
  void timer_fired();
  void saved(int32_t result);

  void decrypt(Bytes octets);
  void take(Bytes input);
  void consume(Bytes input);
  void settle();
  void act();
  void answer(std::optional<std::string_view> instead = {});
  void save();
  void resume();
  void say_next_octet();
  void touch();
  void drop();
  void try_to_end();
  bool is_paused() const;

  Shard& shard_;
  Receiver receiver_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  io::Timer timer_;
  FaultPlan::Decision decision_;
  std::string pending_;  // input that came while none was taken
  std::string out_, sending_;
  std::unique_ptr<engine::tls::Channel> channel_;  // null: no TLS
  std::string wire_;                               // with TLS: what is to be sent as it is
  std::string slow_;                               // an answer that goes out an octet a second
  size_t slow_at_ = 0;
  std::unique_ptr<Saving> saving_;
  bool tls_is_next_ = false;  // STARTTLS was answered: the peer begins a handshake
  bool held_ = false;         // by a delay, a stall, a slow answer, or a message being saved
  bool hurried_ = false;      // the peer has closed: what it sent is taken without further delays
  bool closing_ = false;      // takes no input any more; ends when all is sent
  bool gone_ = false;         // nothing can be sent any more
  bool touched_ = false;      // in the shard's list for flush()
};

}  // namespace sluice::tools::sink
