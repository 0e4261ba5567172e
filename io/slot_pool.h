#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "io/check.h"

namespace sluice::io {

/// Names an object of a SlotPool by value, safely after its death: the generation no longer fits.
struct SlotHandle {
  uint32_t index = UINT32_MAX;
  uint32_t generation = 0;
  friend bool operator==(SlotHandle, SlotHandle) = default;
};

/// At most `slots_max` objects at addresses that never change, in slabs of 64 allocated as needed;
/// create and destroy are O(1) and reuse the slot freed last.
template <class T>
class SlotPool {
 public:
  explicit SlotPool(uint32_t slots_max) : slots_max_(slots_max) {}
  SlotPool(const SlotPool&) = delete;
  SlotPool& operator=(const SlotPool&) = delete;
  ~SlotPool();

  /// nullptr when all slots are taken: "not now".
  template <class... Arguments>
  T* create(Arguments&&... arguments);
  void destroy(T* object);

  SlotHandle handle(const T* object) const;
  /// nullptr when the object is gone.
  T* find(SlotHandle handle);

  uint32_t size() const { return size_; }
  uint32_t slots_max() const { return slots_max_; }

  /// Visits every object; the visitor may destroy the one it is given. Whether one that it creates
  /// is visited is open.
  template <class Visitor>
  void for_each(Visitor&& visit);

 private:
  static constexpr uint32_t slab_slots = 64;
  struct Slot {
    alignas(T) unsigned char storage[sizeof(T)];
    uint32_t index;
    uint32_t generation;  // odd while alive
    uint32_t next_free;
  };
  Slot& slot(uint32_t index) { return slabs_[index / slab_slots][index % slab_slots]; }
  const Slot& slot(uint32_t index) const { return slabs_[index / slab_slots][index % slab_slots]; }
  static T* object(Slot& s) { return std::launder(reinterpret_cast<T*>(s.storage)); }

  std::vector<std::unique_ptr<Slot[]>> slabs_;
  uint32_t slots_max_, size_ = 0, free_ = UINT32_MAX;
};

template <class T>
SlotPool<T>::~SlotPool() {
  for_each([](T& t) { t.~T(); });
}

template <class T>
template <class... Arguments>
T* SlotPool<T>::create(Arguments&&... arguments) {
  if (free_ == UINT32_MAX) {
    const auto first = static_cast<uint32_t>(slabs_.size()) * slab_slots;
    if (first >= slots_max_) return nullptr;
    slabs_.push_back(std::make_unique_for_overwrite<Slot[]>(slab_slots));
    for (uint32_t i = slab_slots; i-- > 0;) {
      if (first + i >= slots_max_) continue;
      Slot& s = slabs_.back()[i];
      s.index = first + i, s.generation = 0, s.next_free = free_;
      free_ = first + i;
    }
  }
  Slot& s = slot(free_);
  free_ = s.next_free;  // before the constructor, which may create another
  T* made = new (s.storage) T(std::forward<Arguments>(arguments)...);
  ++s.generation;
  ++size_;
  return made;
}

template <class T>
void SlotPool<T>::destroy(T* object_) {
  const SlotHandle h = handle(object_);
  Slot& s = slot(h.index);
  object_->~T();
  ++s.generation;
  s.next_free = free_;
  free_ = s.index;
  --size_;
}

template <class T>
SlotHandle SlotPool<T>::handle(const T* object_) const {
  const auto* s = reinterpret_cast<const Slot*>(object_);  // storage is the first member
  CHECK(s->generation & 1);                                // else destroyed already
  CHECK(&slot(s->index) == s);
  return {s->index, s->generation};
}

template <class T>
T* SlotPool<T>::find(SlotHandle h) {
  if (h.index >= slots_max_ || h.index / slab_slots >= slabs_.size()) return nullptr;
  Slot& s = slot(h.index);
  return s.generation == h.generation && (h.generation & 1) ? object(s) : nullptr;
}

template <class T>
template <class Visitor>
void SlotPool<T>::for_each(Visitor&& visit) {
  for (uint32_t i = 0; i < slabs_.size() * slab_slots && i < slots_max_; ++i)
    if (slot(i).generation & 1) visit(*object(slot(i)));
}

}  // namespace sluice::io
