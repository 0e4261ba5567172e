#include "tests/sim/world/disk.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "io/check.h"

namespace sluice::sim {

/// A change of a file's content that is not on the platter yet.
struct Disk::Edit {
  uint64_t number;
  uint64_t offset;  // of the write; or the size to truncate to
  bool is_truncate;
  std::string bytes;
};

struct Disk::Inode {
  int64_t number = 0;
  bool is_directory = false, is_forbidden = false, is_full = false;
  // A file.
  std::string content, durable;
  std::vector<Edit> unsynced;
  uint64_t reserved = 0, accounted = 0;
  // A directory.
  std::map<std::string, InodePointer> entries, durable_entries;

  Inode* parent = nullptr;  // where its name is, nullptr when it has none
  unsigned opens = 0;
};

/// A change of names that is not on the platter yet: `inode` leaves `from` (if any) and appears in
/// `to` (if any), both or neither.
struct Disk::Change {
  uint64_t number = 0;
  InodePointer from, to;
  std::string from_name, to_name;
  InodePointer inode;
};

struct Disk::OpenFile {
  InodePointer inode;
  ProcessNumber process;
  bool reads, writes, appends, holds_lock;
};

Disk::Disk(Random& random) : random_(random), root_(make_inode(true)) {}

Disk::~Disk() = default;

Disk::InodePointer Disk::make_inode(bool is_directory) {
  auto inode = std::make_shared<Inode>();
  inode->number = ++inodes_made_;
  inode->is_directory = is_directory;
  return inode;
}

void Disk::copy(const Disk& other, Memory memory) {
  open_files_.clear();
  unsynced_names_.clear();
  used_bytes_ = 0;
  root_ = copy(*other.root_, memory);
}

Disk::InodePointer Disk::copy(const Inode& other, Memory memory) {
  const InodePointer inode = make_inode(other.is_directory);
  const bool is_cached = memory == Memory::page_cache;
  std::string content = is_cached ? other.content : other.durable;
  if (!is_cached)
    for (const Edit& edit : other.unsynced)  // a cut may be all that gets there
      if (edit.is_truncate) content.resize(std::min<size_t>(content.size(), edit.offset));
  inode->content = inode->durable = std::move(content);
  for (const auto& [name, child] : is_cached ? other.entries : other.durable_entries) {
    const InodePointer copied = copy(*child, memory);
    copied->parent = inode.get();
    inode->entries[name] = inode->durable_entries[name] = copied;
  }
  account(*inode);
  return inode;
}

Disk::Place Disk::find(const std::string& path) const {
  Place place{nullptr, {}, root_};
  std::vector<InodePointer> above;  // for ".."
  size_t at = 0;
  while (at < path.size()) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, slash - at);
    at = slash + 1;
    if (name.empty() || name == ".") continue;
    if (!place.inode) return {.error = -ENOENT};
    if (!place.inode->is_directory) return {.error = -ENOTDIR};
    if (place.inode->is_forbidden) return {.error = -EACCES};
    if (name.size() > 255) return {.error = -ENAMETOOLONG};
    if (name == "..") {
      if (above.empty()) continue;
      place = {nullptr, {}, above.back()};
      above.pop_back();
      continue;
    }
    const auto entry = place.inode->entries.find(name);
    above.push_back(place.inode);
    place = {place.inode, name, entry == place.inode->entries.end() ? nullptr : entry->second};
  }
  return place;
}

Disk::OpenFile* Disk::opened(int32_t descriptor) {
  const auto found = open_files_.find(descriptor);
  return found == open_files_.end() ? nullptr : &found->second;
}

void Disk::account(Inode& inode) {
  const uint64_t content = (inode.content.size() + block_bytes - 1) / block_bytes * block_bytes;
  const uint64_t bytes = std::max(content, inode.reserved);
  used_bytes_ = used_bytes_ - inode.accounted + bytes;
  inode.accounted = bytes;
}

void Disk::release(Inode& inode) {
  if (inode.parent || inode.opens > 0) return;
  used_bytes_ -= std::exchange(inode.accounted, 0);
}

void Disk::notify(const Inode* directory) {
  if (directory && changed) changed(directory->number);
}

void Disk::change_names(Change change) {
  change.number = ++changes_made_;
  if (change.from) {
    change.from->entries.erase(change.from_name);
    change.inode->parent = nullptr;
  }
  if (change.to) {
    InodePointer& entry = change.to->entries[change.to_name];
    const InodePointer replaced = std::exchange(entry, change.inode);
    change.inode->parent = change.to.get();
    if (replaced && replaced != change.inode) {
      replaced->parent = nullptr;
      release(*replaced);
    }
  }
  unsynced_names_.push_back(std::move(change));
}

void Disk::make_durable(const Change& change) {
  if (change.from) change.from->durable_entries.erase(change.from_name);
  if (change.to) change.to->durable_entries[change.to_name] = change.inode;
}

// --- Operations ---

int32_t Disk::open(ProcessNumber process, const std::string& path, int flags, int32_t& descriptor) {
  Place place = find(path);
  if (place.error) return place.error;
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (!place.inode) {
    if (!(flags & O_CREAT)) return -ENOENT;
    if (path.ends_with('/')) return -EISDIR;
    if (read_only) return -EROFS;
    place.inode = make_inode(false);
    change_names({.to = place.directory, .to_name = place.name, .inode = place.inode});
  } else if ((flags & O_CREAT) && (flags & O_EXCL)) {
    return -EEXIST;
  }
  if (place.inode->is_forbidden) return -EACCES;
  if (place.inode->is_directory && (writes || (flags & O_CREAT))) return -EISDIR;
  if (!place.inode->is_directory && ((flags & O_DIRECTORY) || path.ends_with('/'))) return -ENOTDIR;
  if (writes && read_only) return -EROFS;
  descriptor = next_descriptor_++;
  ++place.inode->opens;
  open_files_[descriptor] = {
      place.inode, process, (flags & O_ACCMODE) != O_WRONLY, writes, (flags & O_APPEND) != 0,
      false};
  if (writes && (flags & O_TRUNC)) return truncate(descriptor, 0);
  return 0;
}

int32_t Disk::close(int32_t descriptor) {
  OpenFile* file = opened(descriptor);
  if (!file) return -EBADF;
  const InodePointer inode = file->inode;
  const bool wrote = file->writes;
  open_files_.erase(descriptor);
  --inode->opens;
  if (wrote) notify(inode->parent);
  release(*inode);
  return 0;
}

int32_t Disk::read(int32_t descriptor, uint64_t offset, std::span<std::byte> bytes) {
  OpenFile* file = opened(descriptor);
  if (!file || !file->reads) return -EBADF;
  if (file->inode->is_directory) return -EISDIR;
  const std::string& content = file->inode->content;
  if (offset >= content.size()) return 0;
  const size_t count = std::min<uint64_t>(bytes.size(), content.size() - offset);
  std::memcpy(bytes.data(), content.data() + offset, count);
  return static_cast<int32_t>(count);
}

int32_t Disk::write(int32_t descriptor, uint64_t offset, std::span<const std::byte> bytes) {
  OpenFile* file = opened(descriptor);
  if (!file || !file->writes) return -EBADF;
  Inode& inode = *file->inode;
  if (inode.is_full) return -ENOSPC;
  if (file->appends) offset = inode.content.size();
  if (offset > INT64_MAX - bytes.size()) return -EFBIG;
  size_t count = bytes.size();
  const uint64_t others = used_bytes_ - inode.accounted;
  const uint64_t room = std::max(
      {capacity > others ? (capacity - others) / block_bytes * block_bytes : 0, inode.accounted});
  if (offset + count > room) count = room > offset ? room - offset : 0;
  if (count > 0) {
    if (inode.content.size() < offset + count) inode.content.resize(offset + count);
    std::memcpy(inode.content.data() + offset, bytes.data(), count);
    inode.unsynced.push_back({++changes_made_, offset, false,
                              std::string(reinterpret_cast<const char*>(bytes.data()), count)});
    account(inode);
  }
  return count < bytes.size() ? -ENOSPC : static_cast<int32_t>(count);
}

int32_t Disk::truncate(int32_t descriptor, uint64_t size) {
  OpenFile* file = opened(descriptor);
  if (!file || !file->writes) return -EINVAL;
  Inode& inode = *file->inode;
  inode.content.resize(size);
  inode.reserved = 0;
  inode.unsynced.push_back({++changes_made_, size, true, {}});
  account(inode);
  return 0;
}

int32_t Disk::allocate(int32_t descriptor, uint64_t offset, uint64_t length) {
  OpenFile* file = opened(descriptor);
  if (!file || !file->writes) return -EBADF;
  if (length == 0) return -EINVAL;
  Inode& inode = *file->inode;
  const uint64_t end = (offset + length + block_bytes - 1) / block_bytes * block_bytes;
  if (inode.is_full || (end > inode.accounted && used_bytes_ - inode.accounted + end > capacity))
    return -ENOSPC;
  inode.reserved = std::max(inode.reserved, end);
  account(inode);
  return 0;
}

int32_t Disk::lock(int32_t descriptor) {
  OpenFile* file = opened(descriptor);
  if (!file) return -EBADF;
  for (const auto& [other_descriptor, other] : open_files_)
    if (other_descriptor != descriptor && other.holds_lock && other.inode == file->inode)
      return -EWOULDBLOCK;
  file->holds_lock = true;
  return 0;
}

int32_t Disk::make_directory(const std::string& path) {
  const Place place = find(path);
  if (place.error) return place.error;
  if (place.inode) return -EEXIST;
  if (read_only) return -EROFS;
  change_names({.to = place.directory, .to_name = place.name, .inode = make_inode(true)});
  return 0;
}

int32_t Disk::rename(const std::string& from, const std::string& to, bool keep_existing) {
  const Place source = find(from), target = find(to);
  if (source.error) return source.error;
  if (target.error) return target.error;
  if (!source.inode) return -ENOENT;
  if (!source.directory || !target.directory) return -EBUSY;
  if (target.inode && keep_existing) return -EEXIST;
  if (read_only) return -EROFS;
  if (target.inode == source.inode) return 0;
  if (target.inode) {
    if (target.inode->is_directory && !source.inode->is_directory) return -EISDIR;
    if (!target.inode->is_directory && source.inode->is_directory) return -ENOTDIR;
    if (!target.inode->entries.empty()) return -ENOTEMPTY;
  }
  change_names({.from = source.directory,
                .to = target.directory,
                .from_name = source.name,
                .to_name = target.name,
                .inode = source.inode});
  notify(target.directory.get());
  return 0;
}

int32_t Disk::unlink(const std::string& path) {
  const Place place = find(path);
  if (place.error) return place.error;
  if (!place.inode) return -ENOENT;
  if (place.inode->is_directory) return -EISDIR;
  if (read_only) return -EROFS;
  change_names({.from = place.directory, .from_name = place.name, .inode = place.inode});
  release(*place.inode);
  return 0;
}

int32_t Disk::list_directory(const std::string& path, std::vector<std::string>& names) {
  const Place place = find(path);
  if (place.error) return place.error;
  if (!place.inode) return -ENOENT;
  if (!place.inode->is_directory) return -ENOTDIR;
  if (place.inode->is_forbidden) return -EACCES;
  names.clear();
  for (const auto& [name, inode] : place.inode->entries) names.push_back(name);
  return 0;
}

int32_t Disk::stat(const std::string& path, uint64_t& size, uint64_t& bytes_on_disk,
                   bool& is_directory) {
  const Place place = find(path);
  if (place.error) return place.error;
  if (!place.inode) return -ENOENT;
  is_directory = place.inode->is_directory;
  size = place.inode->content.size();
  bytes_on_disk = place.inode->accounted;
  return 0;
}

int32_t Disk::datasync(int32_t descriptor, uint64_t mark) {
  OpenFile* file = opened(descriptor);
  if (!file) return -EBADF;
  Inode& inode = *file->inode;
  size_t covered = 0;
  for (; covered < inode.unsynced.size() && inode.unsynced[covered].number <= mark; ++covered) {
    const Edit& edit = inode.unsynced[covered];
    if (edit.is_truncate) {
      inode.durable.resize(edit.offset);
      continue;
    }
    if (inode.durable.size() < edit.offset + edit.bytes.size())
      inode.durable.resize(edit.offset + edit.bytes.size());
    edit.bytes.copy(inode.durable.data() + edit.offset, edit.bytes.size());
  }
  inode.unsynced.erase(inode.unsynced.begin(),
                       inode.unsynced.begin() + static_cast<ptrdiff_t>(covered));
  return 0;
}

int32_t Disk::datasync_failing(int32_t descriptor, uint64_t mark) {
  OpenFile* file = opened(descriptor);
  if (!file) return -EBADF;
  std::erase_if(file->inode->unsynced,
                [&](const Edit& edit) { return edit.number <= mark && random_.chance(0.5); });
  datasync(descriptor, mark);
  return -EIO;
}

int32_t Disk::sync_directory(const std::string& path, uint64_t mark) {
  const Place place = find(path);
  if (place.error) return place.error;
  if (!place.inode) return -ENOENT;
  if (!place.inode->is_directory) return -ENOTDIR;
  if (place.inode->is_forbidden) return -EACCES;
  // What touched the directory, and before it what touched a directory of such a change: a rename
  // out of a folder needs the file to be there.
  std::vector<const Inode*> directories{place.inode.get()};
  const auto is_touched = [&](const InodePointer& directory) {
    return directory && std::ranges::find(directories, directory.get()) != directories.end();
  };
  std::vector<bool> covered(unsynced_names_.size());
  for (size_t i = unsynced_names_.size(); i-- > 0;) {
    const Change& change = unsynced_names_[i];
    if (change.number > mark || !(is_touched(change.from) || is_touched(change.to))) continue;
    covered[i] = true;
    if (change.from) directories.push_back(change.from.get());
    if (change.to) directories.push_back(change.to.get());
  }
  std::vector<Change> left;
  for (size_t i = 0; i < covered.size(); ++i) {
    if (covered[i])
      make_durable(unsynced_names_[i]);
    else
      left.push_back(std::move(unsynced_names_[i]));
  }
  unsynced_names_ = std::move(left);
  return 0;
}

int64_t Disk::watch(const std::string& path) {
  const Place place = find(path);
  if (place.error) return place.error;
  if (!place.inode) return -ENOENT;
  if (!place.inode->is_directory) return -ENOTDIR;
  if (place.inode->is_forbidden) return -EACCES;
  return place.inode->number;
}

// --- Disasters ---

void Disk::end_process(ProcessNumber process) {
  std::vector<int32_t> descriptors;
  for (const auto& [descriptor, file] : open_files_)
    if (file.process == process) descriptors.push_back(descriptor);
  for (const int32_t descriptor : descriptors) close(descriptor);
}

void Disk::lose_power() {
  open_files_.clear();
  // Whole losses and none at all are as likely as anything between them: they are the corners.
  const uint64_t corner = random_.below(3);
  const size_t count = unsynced_names_.size();
  const size_t kept = corner == 0 ? 0 : corner == 1 ? count : random_.below(count + 1);
  for (size_t i = 0; i < kept; ++i) make_durable(unsynced_names_[i]);
  unsynced_names_.clear();
  used_bytes_ = 0;
  survive(*root_, static_cast<unsigned>(random_.below(3)));
}

/// Makes what is on the platter (and what the seed lets get there in the last moment) all there is,
/// in `inode` and below.
void Disk::survive(Inode& inode, unsigned mode) {
  inode.opens = 0;
  if (inode.is_directory) {
    inode.entries = inode.durable_entries;
    for (const auto& [name, child] : inode.entries) {
      child->parent = &inode;
      survive(*child, mode);
    }
    return;
  }
  std::string& data = inode.durable;
  for (const Edit& edit : inode.unsynced) {
    const uint64_t fate = mode == 0   ? 0
                          : mode == 1 ? 1
                                      : random_.below(4);  // lost, kept; else torn
    if (fate == 0) continue;
    if (edit.is_truncate) {
      data.resize(edit.offset);
      continue;
    }
    const uint64_t end = edit.offset + edit.bytes.size();
    if (data.size() < end) data.resize(end);
    for (uint64_t at = edit.offset; at < end;) {
      const uint64_t next = std::min(end, (at / sector_bytes + 1) * sector_bytes);
      if (fate == 1 || random_.chance(0.5))
        edit.bytes.copy(data.data() + at, next - at, at - edit.offset);
      at = next;
    }
  }
  inode.unsynced.clear();
  inode.content = data;
  inode.reserved = inode.accounted = 0;
  account(inode);
}

void Disk::corrupt(const std::string& path, uint64_t offset, uint8_t mask) {
  const Place place = find(path);
  CHECK(place.inode && offset < place.inode->content.size());
  for (std::string* data : {&place.inode->content, &place.inode->durable})
    if (offset < data->size())
      (*data)[offset] = static_cast<char>((*data)[offset] ^ static_cast<char>(mask));
}

void Disk::forbid(const std::string& path) {
  const Place place = find(path);
  CHECK(place.inode);
  place.inode->is_forbidden = true;
}

void Disk::fill(const std::string& path) {
  const Place place = find(path);
  CHECK(place.inode);
  place.inode->is_full = true;
}

// --- For tests ---

std::optional<std::string> Disk::contents(const std::string& path) const {
  const Place place = find(path);
  if (place.error || !place.inode || place.inode->is_directory) return std::nullopt;
  return place.inode->content;
}

void Disk::put(const std::string& path, std::string_view bytes) {
  const Place place = find(path);
  CHECK(place.error == 0 && place.directory);
  const InodePointer inode = place.inode ? place.inode : make_inode(false);
  place.directory->entries[place.name] = place.directory->durable_entries[place.name] = inode;
  inode->parent = place.directory.get();
  inode->content = inode->durable = bytes;
  inode->unsynced.clear();
  account(*inode);
}

void Disk::put_directory(const std::string& path) {
  const Place place = find(path);
  CHECK(place.error == 0 && place.directory && !place.inode);
  const InodePointer inode = make_inode(true);
  place.directory->entries[place.name] = place.directory->durable_entries[place.name] = inode;
  inode->parent = place.directory.get();
}

}  // namespace sluice::sim
