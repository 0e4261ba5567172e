#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/world/random.h"

namespace sluice::sim {

/// Which open files go when a process ends.
using ProcessNumber = uint32_t;

enum class Memory : uint8_t { page_cache, platter };

/// A file system with two memories: the page cache, which all processes see, and the platter, which
/// is what is left after a loss of power. Operations take effect at once and return what io/op.h
/// says for theirs; when they happen is the World's affair. What is not modelled: rights (but for
/// forbid()), links, holes.
class Disk {
 public:
  explicit Disk(Random& random);
  ~Disk();

  // --- Operations ---
  int32_t open(ProcessNumber process, const std::string& path, int flags, int32_t& descriptor);
  int32_t close(int32_t descriptor);
  int32_t read(int32_t descriptor, uint64_t offset, std::span<std::byte> bytes);
  int32_t write(int32_t descriptor, uint64_t offset, std::span<const std::byte> bytes);
  int32_t truncate(int32_t descriptor, uint64_t size);
  int32_t allocate(int32_t descriptor, uint64_t offset, uint64_t length);
  int32_t lock(int32_t descriptor);
  int32_t make_directory(const std::string& path);
  int32_t rename(const std::string& from, const std::string& to, bool keep_existing);
  int32_t unlink(const std::string& path);
  int32_t list_directory(const std::string& path, std::vector<std::string>& names);
  int32_t stat(const std::string& path, uint64_t& size, uint64_t& bytes_on_disk,
               bool& is_directory);

  /// A moment in the order of all changes: a sync covers those before the mark taken when it was
  /// submitted.
  uint64_t mark() const { return changes_made_; }
  int32_t datasync(int32_t descriptor, uint64_t mark);
  /// The sync fails: each change it was to cover reached the platter or never will, though the page
  /// cache shows it.
  int32_t datasync_failing(int32_t descriptor, uint64_t mark);
  int32_t sync_directory(const std::string& path, uint64_t mark);

  /// Calls `changed` with what watch() returned for a directory whenever an entry is moved into it
  /// or a file written in it is closed.
  int64_t watch(const std::string& path);
  std::function<void(int64_t directory)> changed;

  /// Becomes what `other` is to who reads it now, or what would be left of it by a loss of power
  /// that takes all it can. What was here is gone.
  void copy(const Disk& other, Memory memory);

  // --- Disasters ---
  /// Closes the process's files, as its end does; locks go with them.
  void end_process(ProcessNumber process);
  /// All open files are gone, and so is what the platter does not hold.
  void lose_power();
  /// Flips the bits of `mask` in the octet at `offset`, on the platter too.
  void corrupt(const std::string& path, uint64_t offset, uint8_t mask = 0xFF);

  /// Octets that fit on the disk; what is over it already stays.
  uint64_t capacity = UINT64_MAX;
  bool read_only = false;
  uint64_t used_bytes() const { return used_bytes_; }
  /// Every access to the directory is -EACCES from now on.
  void forbid(const std::string& path);
  /// Every write to the file is -ENOSPC from now on.
  void fill(const std::string& path);

  // --- For tests: a look from outside, and files that were always there ---
  std::optional<std::string> contents(const std::string& path) const;
  void put(const std::string& path, std::string_view bytes);
  void put_directory(const std::string& path);
  unsigned open_files() const { return static_cast<unsigned>(open_files_.size()); }

 private:
  struct Edit;
  struct Inode;
  struct Change;
  struct OpenFile;
  using InodePointer = std::shared_ptr<Inode>;
  /// A path taken apart: the directory that holds (or would hold) its last name. `error` when there
  /// is none.
  struct Place {
    InodePointer directory;
    std::string name;
    InodePointer inode;  // nullptr: no such entry
    int32_t error = 0;
  };

  Place find(const std::string& path) const;
  OpenFile* opened(int32_t descriptor);
  InodePointer make_inode(bool is_directory);
  InodePointer copy(const Inode& other, Memory memory);
  void change_names(Change change);
  void make_durable(const Change& change);
  void account(Inode& inode);
  void release(Inode& inode);
  void notify(const Inode* directory);
  void survive(Inode& inode, unsigned mode);

  static constexpr uint64_t block_bytes = 4096, sector_bytes = 512;

  Random& random_;
  InodePointer root_;
  std::map<int32_t, OpenFile> open_files_;
  std::vector<Change> unsynced_names_;
  uint64_t changes_made_ = 0, used_bytes_ = 0;
  int64_t inodes_made_ = 0;
  int32_t next_descriptor_ = 3;
};

}  // namespace sluice::sim
