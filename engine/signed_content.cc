#include "engine/signed_content.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/dkim/signature.h"
#include "engine/mail/program.h"

namespace sluice::engine {

namespace {
/// Headers are shorter than bodies, which need not be read where their hash is known.
constexpr size_t header_bytes_at_once = 2048;
}  // namespace

void SignedContent::begin(const Mailing& mailing, smtp::Body& content, mail::Merge* merge) {
  end();
  mailing_ = &mailing;
  content_ = &content;
  merge_ = merge;
}

void SignedContent::end() {
  leave_queue();
  if (hash_) desk_.give_back(std::move(hash_));
  content_ = nullptr;
  stage_ = Stage::begin;
  keys_.reset();
  signers_ = {};
  signatures_ = {};
  read_ = 0;
}

void SignedContent::ask() {
  if (!is_begun() || place_ || is_signed()) return;
  if (stage_ != Stage::sign && !content_->is_ready()) return;
  place_ = desk_.add(*this);
}

void SignedContent::leave_queue() {
  if (place_) desk_.remove(*place_);
  place_.reset();
}

bool SignedContent::is_ready() const {
  return is_signed() && (read_ < signatures_.size() || content_->is_ready());
}

size_t SignedContent::read(std::span<char> out) {
  if (signatures_.empty()) return content_->read(out);
  const size_t octets = std::min(out.size(), signatures_.size() - read_);
  std::memcpy(out.data(), signatures_.data() + read_, octets);
  read_ += octets;
  if (read_ == signatures_.size()) signatures_ = {};
  return octets;
}

void SignedContent::step() {
  switch (stage_) {
    case Stage::begin:     begin_hash(); break;
    case Stage::header:    read_header(); break;
    case Stage::beginning:
    case Stage::body:      read_body(); break;
    case Stage::sign:      sign_once(); break;
    case Stage::ready:     break;
  }
  const bool goes_on = stage_ == Stage::sign || content_->is_ready();
  if (is_signed() || !goes_on) leave_queue();
  if (is_signed()) owner_.content_signed(*this);
}

SigningDesk::Campaign* SignedContent::campaign() const {
  const bool is_known = merge_ != nullptr && mailing_->content.program().body_tail > 0;
  return is_known ? &desk_.campaign(mailing_->campaign->info().uid) : nullptr;
}

void SignedContent::begin_hash() {
  keys_ = desk_.keys();
  if (is_same_for_all()) {
    const SigningDesk::Campaign* known = campaign();
    if (known && known->keys == keys_ && desk_.now() - known->signed_at < signatures_kept) {
      signatures_ = known->signatures;
      stage_ = Stage::ready;
      return;
    }
  }
  hash_ = desk_.lend_hash();
  if (campaign()) merge_->pause_at(mailing_->content.program().body_tail);
  stage_ = Stage::header;
  read_header();
}

/// 0: nothing is left, or nothing is at hand.
size_t SignedContent::hash_some(size_t bytes_max) {
  if (!content_->is_ready()) return 0;
  const std::span<char> scratch = desk_.scratch().first(bytes_max);
  const size_t octets = content_->read(scratch);
  const std::string_view piece(scratch.data(), octets);
  const SigningDesk::Campaign* const known = stage_ == Stage::header ? campaign() : nullptr;
  if (known && known->beginning)
    hash_->update_header(piece);
  else
    hash_->update(piece);
  return octets;
}

void SignedContent::read_header() {
  for (size_t left = SigningDesk::step_bytes; left > 0 && !hash_->is_in_body();) {
    if (!content_->is_ready()) return;
    const size_t octets = hash_some(std::min(left, header_bytes_at_once));
    if (octets == 0) return end_header();  // it has no body
    left -= octets;
  }
  if (hash_->is_in_body()) end_header();
}

void SignedContent::end_header() {
  const dkim::SignedHeader& header = hash_->header();
  if (!header.is_too_large())
    signers_ = keys_->of(dkim::author_domain(header.last(dkim::from_field)));
  const auto signs = [now = desk_.now()](const dkim::Signer& s) { return s.signs_at(now); };
  if (std::ranges::none_of(signers_, signs)) return take_signatures();
  SigningDesk::Campaign* const known = campaign();
  stage_ = known ? Stage::beginning : Stage::body;
  if (!known || !known->beginning) return;
  hash_->resume_body(*known->beginning);
  end_beginning();
}

void SignedContent::read_body() {
  if (hash_some(SigningDesk::step_bytes) > 0 || !content_->is_ready()) return;
  if (stage_ == Stage::body) return end_body();
  campaign()->beginning = hash_->body();
  end_beginning();
}

/// Of the body, what is the same for all.
void SignedContent::end_beginning() {
  merge_->go_on_at(mailing_->content.program().body_tail,
                   hash_->body().unstuffing.is_at_line_start());
  stage_ = Stage::body;
}

void SignedContent::end_body() {
  body_hash_ = hash_->finish();
  stage_ = Stage::sign;
}

void SignedContent::sign_once() {
  const io::WallTime now = desk_.now();
  const auto next =
      std::ranges::find_if(signers_, [now](const dkim::Signer& s) { return s.signs_at(now); });
  signers_ = {next, signers_.end()};
  if (!signers_.empty()) {
    dkim::append_signature(signatures_, signers_.front(), hash_->header(), body_hash_, now);
    desk_.count_signature(signers_.front().key->algorithm());
    signers_ = signers_.subspan(1);
  }
  if (signers_.empty()) take_signatures();
}

void SignedContent::take_signatures() {
  SigningDesk::Campaign* const known = is_same_for_all() ? campaign() : nullptr;
  if (known) {
    known->signatures = signatures_;
    known->keys = keys_;
    known->signed_at = desk_.now();
  }
  desk_.give_back(std::move(hash_));
  owner_.read_again(*this);
  stage_ = Stage::ready;
}

}  // namespace sluice::engine
