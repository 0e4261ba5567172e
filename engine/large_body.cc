#include "engine/large_body.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sluice::engine {

LargeBody::LargeBody(io::Proactor& proactor, Listener& listener)
    : proactor_(proactor),
      listener_(listener),
      record_(spool::record_bytes(spool::content_piece_bytes)) {
  read_.bind<&LargeBody::loaded>(this);
}

void LargeBody::begin(const spool::LargeContent& content) {
  content_ = content;
  at_ = 0;
  rest_ = {};
  failure_ = {};
  is_stale_ = read_.in_flight;
  if (!is_stale_) load();
}

size_t LargeBody::read(std::span<char> out) {
  const size_t octets = std::min(out.size(), rest_.size());
  if (octets > 0) std::memcpy(out.data(), rest_.data(), octets);
  rest_ = rest_.subspan(octets);
  if (rest_.empty() && octets > 0 && !is_at_end()) load();
  return octets;
}

void LargeBody::load() {
  const spool::LargeContent::Place place = content_->place(at_);
  read_.file = content_->file;
  read_.offset = place.offset;
  read_.bytes = std::span(record_).first(place.bytes);
  proactor_.submit(read_);
}

void LargeBody::loaded(io::Read&, const io::Completion& completion) {
  if (!content_) return listener_.body_loaded();
  if (std::exchange(is_stale_, false)) return load();
  const size_t octets = static_cast<size_t>(std::max(completion.result, 0));
  const auto piece = content_->decode(at_, std::span(record_).first(octets));
  if (piece) {
    rest_ = *piece;
    at_ += piece->size();
  } else {
    failure_ = completion.result < 0 ? "the message cannot be read at the moment"
                                     : "the message is damaged on our disk";
  }
  listener_.body_loaded();
}

}  // namespace sluice::engine
