#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "io/crc32c.h"
#include "spool/campaign_name.h"
#include "spool/journal_name.h"
#include "spool/little_endian.h"
#include "spool/spool.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/mail_test.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

struct Arrivals : Spool::Listener {
  void mail_arrived(std::shared_ptr<const MailSegment> segment) override {
    mail.push_back(std::move(segment));
  }
  void campaign_arrived(std::shared_ptr<const Campaign> campaign) override {
    campaigns.push_back(std::move(campaign));
  }
  void summary_found(const CampaignInfo&) override {}
  void campaign_unreadable(const std::string& path, const Error& error) override {
    unreadable.emplace_back(path, error.code);
  }
  std::vector<std::shared_ptr<const Campaign>> campaigns;
  std::vector<std::shared_ptr<const MailSegment>> mail;
  std::vector<std::pair<std::string, ErrorCode>> unreadable;
};

class SpoolFolderTest : public SpoolTest {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    proactor_ = std::make_unique<FaultyProactor>(*ring_);
    loop_ = std::make_unique<io::EventLoop>(*proactor_);
  }
  void TearDown() override {
    arrivals_.campaigns.clear();
    arrivals_.mail.clear();
    loop_.reset();
    proactor_.reset();
    SpoolTest::TearDown();
  }
  std::unique_ptr<Spool> open_spool() {
    auto opened = Spool::open(*loop_, spool());
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  bool turn_until(const std::function<bool()>& done) {
    const io::Instant end = ring_->now() + std::chrono::seconds(45);
    while (!done() && ring_->now() < end) loop_->turn(loop_->now() + std::chrono::milliseconds(5));
    return done();
  }
  /// A segment with two messages to three recipients, sealed; the spool takes it over.
  std::shared_ptr<const MailSegment> leave_mail(Spool& to) {
    MailWitness witness;
    {
      MailWriter writer(*loop_, spool(), 0, to.recovered().next_sequence, witness);
      append(writer, letter(0)), append(writer, letter(1));
      writer.commit();
      EXPECT_TRUE(turn_until([&] { return witness.durable == 2; }));
    }
    to.adopt(witness.segments.at(0));
    return witness.segments.at(0);
  }
  /// A ring of another process, as far as a submitter is concerned.
  std::unique_ptr<io::Proactor> other_ring() {
    return std::move(*io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16}));
  }

  Arrivals arrivals_;
  std::unique_ptr<FaultyProactor> proactor_;
  std::unique_ptr<io::EventLoop> loop_;
};

const std::map<std::string, std::vector<std::string>> one_group = {{"a.example", {"ann", "abe"}}};

TEST_F(SpoolFolderTest, is_made_for_its_owner_alone) {
  const auto s = open_spool();
  for (const char* part : {"", "/campaigns", "/journal", "/mail"})
    EXPECT_EQ(std::filesystem::status(spool() + part).permissions(),
              std::filesystem::perms::owner_all);
}

// Who made them may have died before he could sync, and what is handed off then must not go with
// them.
TEST_F(SpoolFolderTest, syncs_folders_that_others_made) {
  std::filesystem::create_directories(spool() + "/campaigns");
  std::vector<std::string> synced;
  proactor_->fault = [&](const io::Op& op) {
    if (op.kind == io::OpKind::sync_directory)
      synced.push_back(static_cast<const io::SyncDirectory&>(op).path);
    return 0;
  };
  ASSERT_TRUE(hand_off(*proactor_, "a", one_group));
  EXPECT_EQ(synced, (std::vector<std::string>{spool(), folder_, spool() + "/campaigns"}));
}

TEST_F(SpoolFolderTest, has_one_owner_whose_pid_the_second_is_told) {
  int ready[2], done[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(done), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto ring = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
    io::EventLoop loop(**ring);
    const auto mine = Spool::open(loop, spool());
    char byte = mine ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1 || ::read(done[0], &byte, 1) != 1) ::_exit(2);
    ::_exit(0);  // with the lock held, as a crash would
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  const auto second = Spool::open(*loop_, spool());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::locked);
  EXPECT_NE(second.error().message.find("process " + std::to_string(child)), std::string::npos)
      << second.error().message;
  ASSERT_EQ(::write(done[1], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(Spool::open(*loop_, spool()));
  for (const int descriptor : {ready[0], ready[1], done[0], done[1]}) ::close(descriptor);
}

TEST_F(SpoolFolderTest, announces_what_is_there_and_what_comes_each_once) {
  ASSERT_TRUE(hand_off(*ring_, "early", one_group));
  auto s = open_spool();
  EXPECT_FALSE(s->is_settled());
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return s->is_settled(); }));
  ASSERT_EQ(arrivals_.campaigns.size(), 1u);
  EXPECT_EQ(arrivals_.campaigns[0]->info().id, "early");
  const auto submitter = other_ring();
  ASSERT_TRUE(hand_off(*submitter, "late", one_group));
  ASSERT_TRUE(turn_until([&] { return arrivals_.campaigns.size() == 2; }));
  EXPECT_EQ(arrivals_.campaigns[1]->info().id, "late");
  EXPECT_EQ(s->campaign_bytes(), arrivals_.campaigns[0]->bytes() + arrivals_.campaigns[1]->bytes());
  ASSERT_TRUE(hand_off(*submitter, "last", one_group));
  ASSERT_TRUE(turn_until([&] { return arrivals_.campaigns.size() == 3 && s->is_settled(); }));
  EXPECT_TRUE(arrivals_.unreadable.empty());
}

// Who handed it over may have died before he could sync: a loss of power would take back what was
// delivered from.
TEST_F(SpoolFolderTest, announces_nothing_whose_name_is_not_durable) {
  ASSERT_TRUE(hand_off(*ring_, "may", one_group));
  bool is_broken = true;
  auto s = open_spool();
  proactor_->fault = [&](const io::Op& op) {
    return is_broken && op.kind == io::OpKind::sync_directory ? -EIO : 0;
  };
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return proactor_->count(io::OpKind::list_directory) >= 5; }));
  EXPECT_TRUE(arrivals_.campaigns.empty());
  EXPECT_FALSE(s->is_settled());
  is_broken = false;
  ASSERT_TRUE(turn_until([&] { return arrivals_.campaigns.size() == 1; }));
}

TEST_F(SpoolFolderTest, announces_without_a_watch_too) {
  proactor_->fault = [](const io::Op& op) {
    return op.kind == io::OpKind::watch_directory ? -ENOSPC : 0;
  };
  auto s = open_spool();
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return s->is_settled(); }));
  ASSERT_TRUE(hand_off(*other_ring(), "late", one_group));
  ASSERT_TRUE(turn_until([&] { return arrivals_.campaigns.size() == 1; }));
}

TEST_F(SpoolFolderTest, leaves_an_unreadable_campaign_alone_and_goes_on) {
  ASSERT_TRUE(hand_off(*ring_, "a", one_group));
  ASSERT_TRUE(hand_off(*ring_, "b", one_group));
  auto damaged = read_file(spool() + "/campaigns/a");
  damaged[300] ^= std::byte{1};  // a block: found only when it is read
  damaged[30] ^= std::byte{1};
  write_file(spool() + "/campaigns/a", damaged);
  auto s = open_spool();
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return s->is_settled(); }));
  ASSERT_EQ(arrivals_.campaigns.size(), 1u);
  ASSERT_EQ(arrivals_.unreadable.size(), 1u);
  EXPECT_EQ(arrivals_.unreadable[0], std::pair(spool() + "/campaigns/a", ErrorCode::damaged));
  EXPECT_EQ(read_file(spool() + "/campaigns/a"), damaged);
}

TEST_F(SpoolFolderTest, sweeps_what_dead_submitters_left_and_nothing_of_the_living) {
  std::filesystem::create_directories(spool() + "/campaigns");
  write_file(spool() + "/campaigns/.hand-off-0123456789abcdef", octets("half"));
  write_file(spool() + "/campaigns/.summary-x", octets("half"));
  const auto submitter = other_ring();
  auto living = CampaignWriter::create(*submitter, spool(), {.id = "living"});
  ASSERT_TRUE(living);
  auto s = open_spool();
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return names("campaigns").size() == 1; }));
  ASSERT_TRUE((*living)->begin_group("a.example"));
  ASSERT_TRUE((*living)->add(octets("ann")));
  ASSERT_TRUE((*living)->commit({}));
  ASSERT_TRUE(turn_until([&] { return arrivals_.campaigns.size() == 1; }));
}

TEST_F(SpoolFolderTest, keeps_the_id_of_a_finished_campaign_and_is_nearly_empty) {
  ASSERT_TRUE(hand_off(*ring_, "may",
                       {{"a.example", std::vector<std::string>(5000, "someone@a.example")}}));
  JournalWitness witness;
  {
    auto s = open_spool();
    auto journal = Journal::create(*loop_, spool(), 0, s->recovered().next_sequence, {}, witness);
    s->start(arrivals_);
    ASSERT_TRUE(turn_until([&] { return arrivals_.campaigns.size() == 1; }));
    const auto campaign = arrivals_.campaigns[0];
    for (uint32_t i = 0; i < campaign->recipients(); ++i)
      journal->append({.campaign = campaign->info().uid,
                       .recipient = i,
                       .attempt = 1,
                       .kind = OutcomeKind::delivered});
    journal->commit();
    ASSERT_TRUE(turn_until([&] { return witness.committed == 5000; }));
    bool done = false;
    s->finish(campaign,
              {.recipients = 5000,
               .delivered = 4999,
               .failed = 1,
               .finished_at = at_ms(1'700'000'060'000)},
              [&] { done = true; });
    EXPECT_FALSE(done);
    ASSERT_TRUE(turn_until([&] { return done; }));
    journal->campaign_finished(campaign->info().uid);
    ASSERT_TRUE(turn_until([&] { return names("journal").empty(); }));
    EXPECT_EQ(s->campaign_bytes(), 0u);
    EXPECT_EQ(names("campaigns"), std::vector<std::string>{"may"});
    EXPECT_LE(std::filesystem::file_size(spool() + "/campaigns/may"), 256u);
  }
  const auto again = hand_off(*ring_, "may", one_group);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->was_known);
  const auto opened = open(*ring_, spool() + "/campaigns/may");
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->campaign, nullptr);
  EXPECT_EQ(opened->info.id, "may");
  EXPECT_EQ(opened->summary.delivered, 4999u);
  EXPECT_EQ(opened->summary.failed, 1u);
  EXPECT_EQ(opened->summary.finished_at, at_ms(1'700'000'060'000));

  arrivals_.campaigns.clear();
  auto s = open_spool();
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return s->is_settled(); }));
  EXPECT_TRUE(arrivals_.campaigns.empty());
}

TEST_F(SpoolFolderTest, finishes_when_the_disk_has_room_again) {
  ASSERT_TRUE(hand_off(*ring_, "may", one_group));
  auto s = open_spool();
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return arrivals_.campaigns.size() == 1; }));
  const auto before = read_file(spool() + "/campaigns/may");
  bool done = false;
  for (const auto kind :
       {io::OpKind::open, io::OpKind::write, io::OpKind::datasync, io::OpKind::rename}) {
    proactor_->fault = [kind](const io::Op& op) { return op.kind == kind ? -ENOSPC : 0; };
    if (kind == io::OpKind::open)
      s->finish(arrivals_.campaigns[0], {.recipients = 2, .delivered = 2}, [&] { done = true; });
    const unsigned count = proactor_->count(kind);
    ASSERT_TRUE(turn_until([&] {
      proactor_->skipped += std::chrono::milliseconds(300);
      return proactor_->count(kind) >= count + 2;
    }));
    EXPECT_FALSE(done);
    EXPECT_EQ(read_file(spool() + "/campaigns/may"), before);
  }
  proactor_->fault = [](const io::Op&) { return 0; };
  ASSERT_TRUE(turn_until([&] {
    proactor_->skipped += std::chrono::milliseconds(300);
    return done;
  }));
  EXPECT_EQ(std::filesystem::file_size(spool() + "/campaigns/may"), 256u);
}

// A crash between the summary and the unlink of the last segment: the next start does the rest, and
// keeps what is live.
TEST_F(SpoolFolderTest, forgets_outcomes_of_campaigns_that_are_over) {
  ASSERT_TRUE(hand_off(*ring_, "live", one_group, "", 1));
  JournalWitness witness;
  std::filesystem::create_directories(spool() + "/journal");
  for (const uint64_t uid : {1, 2}) {
    auto journal = Journal::create(*loop_, spool(), 0, uid, {}, witness);
    journal->append(
        {.campaign = uid, .recipient = 0, .attempt = 1, .kind = OutcomeKind::delivered});
    journal->commit();
    ASSERT_TRUE(turn_until([&] { return !journal->is_committing(); }));
  }
  ASSERT_EQ(names("journal").size(), 2u);
  {
    // What cannot be read may be campaign 2.
    write_file(spool() + "/campaigns/broken", octets("?"));
    const auto s = open_spool();
    EXPECT_EQ(s->recovered().campaigns.size(), 2u);
    EXPECT_EQ(names("journal").size(), 2u);
  }
  std::filesystem::remove(spool() + "/campaigns/broken");
  const auto s = open_spool();
  ASSERT_EQ(s->recovered().campaigns.size(), 1u);
  EXPECT_TRUE(s->recovered().campaigns.contains(1));
  EXPECT_EQ(s->recovered().segments.size(), 1u);
  EXPECT_EQ(names("journal").size(), 1u);
}

TEST_F(SpoolFolderTest, announces_mail_that_was_left_and_counts_it) {
  auto s = open_spool();
  const auto kept = leave_mail(*s);
  const uint64_t bytes = std::filesystem::file_size(kept->path());
  EXPECT_EQ(s->campaign_bytes(), bytes) << "adopted";
  s.reset();
  s = open_spool();
  s->start(arrivals_);
  ASSERT_EQ(arrivals_.mail.size(), 1u);
  EXPECT_EQ(arrivals_.mail[0]->info().uid, kept->info().uid);
  EXPECT_EQ(arrivals_.mail[0]->recipients(), 3u);
  EXPECT_EQ(s->campaign_bytes(), bytes);
  s->stop();
}

TEST_F(SpoolFolderTest, cuts_nothing_of_the_journal_before_it_knows_that_no_mail_is_newer) {
  open_spool();
  const JournalName torn{1, 0, Salt::from(1)};
  write_file(spool() + "/journal/" + torn.text(), octets("torn"));
  const MailName newer{1, 0, 2, Salt::from(3)};
  std::vector<std::byte> header(file_header_bytes);
  encode_file_header(header, {FileKind::mail, newer.salt});
  header[8] = std::byte{format_version + 1};
  store(std::span(header), 20, io::crc32c(0, Bytes(header).first(20)));
  write_file(spool() + "/mail/" + newer.text(), header);
  const auto opened = Spool::open(*loop_, spool());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::newer_version);
  EXPECT_EQ(read_file(spool() + "/journal/" + torn.text()).size(), 4u);
}

TEST_F(SpoolFolderTest, unlinks_mail_that_is_finished_durably_and_forgets_its_outcomes) {
  auto s = open_spool();
  leave_mail(*s);
  s.reset();
  s = open_spool();
  s->start(arrivals_);
  const uint64_t uid = arrivals_.mail.at(0)->info().uid;
  JournalWitness witness;
  auto journal = Journal::create(*loop_, spool(), 0, s->recovered().next_sequence, {}, witness);
  for (uint32_t i = 0; i < 3; ++i) journal->append({uid, i, 1, OutcomeKind::delivered, {}});
  journal->commit();
  ASSERT_TRUE(turn_until([&] { return witness.committed == 3; }));
  journal.reset();
  s.reset();

  s = open_spool();
  EXPECT_EQ(s->recovered().campaigns.at(uid).delivered, 3u) << "kept while it is there";
  arrivals_.mail.clear();
  s->start(arrivals_);
  std::vector<std::string> order;
  proactor_->fault = [&](const io::Op& op) {
    if (op.kind == io::OpKind::unlink) order.push_back(static_cast<const io::Unlink&>(op).path);
    if (op.kind == io::OpKind::sync_directory && !order.empty())
      order.push_back(static_cast<const io::SyncDirectory&>(op).path);
    return 0;
  };
  bool done = false;
  const std::string path = arrivals_.mail.at(0)->path();
  s->finish(std::move(arrivals_.mail.at(0)), {.recipients = 3, .delivered = 3},
            [&] { done = true; });
  ASSERT_TRUE(turn_until([&] { return done; }));
  EXPECT_EQ(order, (std::vector<std::string>{path, spool() + "/mail"}));
  EXPECT_EQ(s->campaign_bytes(), 0u);
  EXPECT_TRUE(names("mail").empty());
  arrivals_.mail.clear();
  s->stop();
  s.reset();
  s = open_spool();
  EXPECT_TRUE(s->recovered().campaigns.empty());
  EXPECT_TRUE(names("journal").empty());
}

TEST_F(SpoolFolderTest, has_nothing_in_flight_after_stop) {
  auto s = open_spool();
  s->start(arrivals_);
  ASSERT_TRUE(turn_until([&] { return s->is_settled(); }));
  s->stop();
  ASSERT_TRUE(turn_until([&] { return proactor_->in_flight() == 0; }));
  ASSERT_TRUE(hand_off(*other_ring(), "late", one_group));
  for (int i = 0; i < 10; ++i) loop_->turn(loop_->now());
  EXPECT_TRUE(arrivals_.campaigns.empty());
}

TEST_F(SpoolFolderTest, of_another_user_is_refused_with_his_number) {
  // Root can give a folder away, and any other user finds one of root's.
  std::string theirs = "/usr";
  if (::geteuid() == 0) {
    theirs = spool();
    std::filesystem::create_directory(theirs);
    ASSERT_EQ(::chown(theirs.c_str(), 4711, 4711), 0);
  }
  struct stat attributes;
  ASSERT_EQ(::stat(theirs.c_str(), &attributes), 0);
  ASSERT_NE(attributes.st_uid, ::geteuid());
  const std::string wanted =
      fmt::format("belongs to user {} (mode 0755), and this process runs as user {}",
                  attributes.st_uid, ::geteuid());
  for (const auto& message : {CampaignWriter::create(*ring_, theirs, {.id = "a"}).error().message,
                              Spool::open(*loop_, theirs).error().message})
    EXPECT_NE(message.find(wanted), std::string::npos) << message;
  EXPECT_FALSE(std::filesystem::exists(theirs + "/campaigns"));
  if (::geteuid() == 0) {
    EXPECT_TRUE(std::filesystem::is_empty(theirs));
  }
}

TEST_F(SpoolFolderTest, tells_a_submitter_how_much_room_it_wanted) {
  int writes = 0;
  proactor_->fault = [&](const io::Op& op) {
    return op.kind == io::OpKind::write && ++writes == 2 ? -ENOSPC : 0;
  };
  const auto committed = hand_off(
      *proactor_, "big", {{"a.example", std::vector<std::string>(100, std::string(30'000, 'x'))}});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code, ErrorCode::no_space);
  EXPECT_NE(committed.error().message.find("needs more than 1.9 MiB"), std::string::npos)
      << committed.error().message;
  EXPECT_TRUE(names("campaigns").empty());
}

TEST_F(SpoolFolderTest, hands_nothing_over_when_any_operation_fails) {
  for (const auto kind : {io::OpKind::make_directory, io::OpKind::open, io::OpKind::lock,
                          io::OpKind::write, io::OpKind::datasync, io::OpKind::rename}) {
    proactor_->fault = [kind](const io::Op& op) { return op.kind == kind ? -EIO : 0; };
    const auto committed = hand_off(*proactor_, "never", one_group);
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().error, EIO);
    if (!std::filesystem::exists(spool() + "/campaigns")) continue;
    EXPECT_TRUE(names("campaigns").empty());
  }
}

TEST_F(SpoolFolderTest, tells_a_read_only_disk_and_missing_rights_apart) {
  for (const auto& [error, code, words] :
       {std::tuple(EROFS, ErrorCode::not_allowed, "read-only"),
        std::tuple(EACCES, ErrorCode::not_allowed, "permission denied"),
        std::tuple(EDQUOT, ErrorCode::no_space, "quota")}) {
    proactor_->fault = [error_ = error](const io::Op& op) {
      return op.kind == io::OpKind::open ? -error_ : 0;
    };
    const auto committed = hand_off(*proactor_, "never", one_group);
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, code);
    EXPECT_NE(committed.error().message.find(words), std::string::npos)
        << committed.error().message;
  }
}

}  // namespace
}  // namespace sluice::spool
