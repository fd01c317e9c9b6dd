// One side of a book: its levels in chunks of at most 64, sorted, the best at the back, under a contiguous directory.
//
// An insert moves at most one chunk, however deep the side is, and the best levels are where memory is warm. Updates
// come sorted, mostly, so each change is looked for from the chunk of the one before.
//
// Rules:
// 1. no chunk is empty; `worst` in the directory is the price of its first level;
// 2. `beyond` counts the levels worse than the bound, at every moment: what is known takes no search.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "hoga/number.hpp"

namespace hoga {

struct Level {
  i128 price;
  i128 size;
};

// Decimals of a level's two numbers as the exchange wrote them: checksums are over its digits, zeros included.
struct Sent {
  std::uint8_t price;
  std::uint8_t size;
};

struct Change {
  Level level;
  Sent sent;
};

enum class Way { BIDS, ASKS };

template <Way WAY>
class Side {
 public:
  static constexpr std::size_t CAPACITY = 64;
  static constexpr std::size_t NO_HINT = ~std::size_t(0);

  Side() = default;
  Side(Side&&) = default;
  Side& operator=(Side&&) = default;
  Side(const Side& other) : count_(other.count_), beyond_(other.beyond_), bounded_(other.bounded_), bound_(other.bound_) {
    directory_.reserve(other.directory_.size());
    for (const Entry& entry : other.directory_) directory_.push_back({entry.worst, std::make_unique<Chunk>(*entry.chunk)});
  }
  Side& operator=(const Side& other) { return *this = Side(other); }

  static bool worse(i128 one, i128 other) { return WAY == Way::BIDS ? one < other : one > other; }

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  std::size_t known() const { return count_ - beyond_; }
  bool bounded() const { return bounded_; }
  i128 bound() const { return bound_; }
  i128 worst() const { return directory_.front().worst; }
  i128 best() const {
    const Chunk& chunk = *directory_.back().chunk;
    return chunk.levels[chunk.count - 1].price;
  }
  std::size_t bytes() const { return directory_.capacity() * sizeof(Entry) + directory_.size() * sizeof(Chunk); }

  // Calls `f(level, sent)` for the best `depth` levels, best first.
  template <class F>
  void each(std::size_t depth, F f) const {
    for (std::size_t i = directory_.size(); i-- && depth;) {
      const Chunk& chunk = *directory_[i].chunk;
      for (std::size_t k = chunk.count; k-- && depth; --depth) f(chunk.levels[k], chunk.sent[k]);
    }
  }

  // The level at a price, or nullptr.
  const Level* find(i128 price) const {
    if (empty() || worse(price, worst())) return nullptr;
    const Chunk& chunk = *directory_[chunk_of(price, NO_HINT)].chunk;
    const std::size_t k = place_in(chunk, price);
    return k < chunk.count && chunk.levels[k].price == price ? &chunk.levels[k] : nullptr;
  }

  // Sets or deletes (size zero) one level. Takes and gives the chunk that was changed; counts deletes of nothing.
  std::size_t set(const Change& change, std::size_t hint, u64& orphans) {
    const i128 price = change.level.price;
    if (empty()) {
      if (change.level.size == 0) {
        ++orphans;
        return 0;
      }
      directory_.push_back({price, std::make_unique<Chunk>()});
      insert(0, 0, change);
      return 0;
    }
    std::size_t i = chunk_of(price, hint);
    Chunk& chunk = *directory_[i].chunk;
    const std::size_t k = place_in(chunk, price);
    if (k < chunk.count && chunk.levels[k].price == price) {
      if (change.level.size == 0) return erase(i, k);
      chunk.levels[k].size = change.level.size;
      chunk.sent[k] = change.sent;
      return i;
    }
    if (change.level.size == 0) {
      ++orphans;
      return i;
    }
    return insert(i, k, change);
  }

  // Takes exactly these levels: of one price the last counts, size zero is no level. What is known is unbounded then.
  void replace(std::vector<Change>& levels) {
    std::stable_sort(levels.begin(), levels.end(),
                     [](const Change& one, const Change& other) { return worse(one.level.price, other.level.price); });
    directory_.clear();
    count_ = 0;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const bool last = i + 1 == levels.size() || levels[i + 1].level.price != levels[i].level.price;
      if (last && levels[i].level.size != 0) append(levels[i]);
    }
    unbind();
  }

  void unbind() {
    bounded_ = false;
    bound_ = 0;
    beyond_ = 0;
  }

  // Only what is there now is known to be all there is down (up) to its worst price.
  void bind_to_worst() {
    bounded_ = true;
    bound_ = worst();
    beyond_ = 0;
  }

  // Forgets all but the best `depth` levels; what is known to be known stays so.
  void cut(std::size_t depth) {
    while (count_ > depth) {
      Chunk& chunk = *directory_.front().chunk;
      const std::size_t gone = std::min(count_ - depth, chunk.count);
      count_ -= gone;
      beyond_ -= std::min(gone, beyond_);
      if (gone == chunk.count) {
        directory_.erase(directory_.begin());
      } else {
        chunk.close(0, gone);
        directory_.front().worst = chunk.levels[0].price;
      }
    }
  }

  // As `cut`, of a side that grew too large: what is left bounds what is known.
  void trim(std::size_t depth) {
    if (count_ <= depth) return;
    cut(depth);
    if (!bounded_ || worse(bound_, worst())) bind_to_worst();
  }

  // Removes from the best on, while `contradicted(price)`, the levels that `changes` did not set.
  template <class F>
  std::size_t remove_best(F contradicted, const std::vector<Change>& changes) {
    std::vector<i128> set_prices;
    for (const Change& change : changes) {
      if (change.level.size != 0) set_prices.push_back(change.level.price);
    }
    std::sort(set_prices.begin(), set_prices.end());
    std::vector<i128> gone;
    bool more = true;
    for (std::size_t i = directory_.size(); i-- && more;) {
      const Chunk& chunk = *directory_[i].chunk;
      for (std::size_t k = chunk.count; k-- && (more = contradicted(chunk.levels[k].price));) {
        const i128 price = chunk.levels[k].price;
        if (!std::binary_search(set_prices.begin(), set_prices.end(), price)) gone.push_back(price);
      }
    }
    u64 orphans = 0;
    for (const i128 price : gone) set({{price, 0}, {0, 0}}, NO_HINT, orphans);
    return gone.size();
  }

  // Finer columns: every price and size by a power of ten.
  void scale(i128 by_price, i128 by_size) {
    for (Entry& entry : directory_) {
      entry.worst *= by_price;
      for (std::size_t k = 0; k < entry.chunk->count; ++k) {
        entry.chunk->levels[k].price *= by_price;
        entry.chunk->levels[k].size *= by_size;
      }
    }
    bound_ *= by_price;
  }

  // The rules above, for tests.
  bool sound() const {
    std::size_t count = 0, beyond = 0;
    const i128* before = nullptr;
    for (const Entry& entry : directory_) {
      const Chunk& chunk = *entry.chunk;
      if (chunk.count == 0 || chunk.count > CAPACITY || entry.worst != chunk.levels[0].price) return false;
      for (std::size_t k = 0; k < chunk.count; ++k) {
        const Level& level = chunk.levels[k];
        if (level.price <= 0 || level.size <= 0 || (before && !worse(*before, level.price))) return false;
        before = &level.price;
        ++count;
        beyond += bounded_ && worse(level.price, bound_);
      }
    }
    return count == count_ && beyond == beyond_;
  }

 private:
  struct Chunk {
    std::size_t count = 0;
    Level levels[CAPACITY];
    Sent sent[CAPACITY];

    void open(std::size_t k) {
      std::memmove(static_cast<void*>(levels + k + 1), levels + k, (count - k) * sizeof(Level));
      std::memmove(static_cast<void*>(sent + k + 1), sent + k, (count - k) * sizeof(Sent));
      ++count;
    }
    void close(std::size_t k, std::size_t gone) {
      std::memmove(static_cast<void*>(levels + k), levels + k + gone, (count - k - gone) * sizeof(Level));
      std::memmove(static_cast<void*>(sent + k), sent + k + gone, (count - k - gone) * sizeof(Sent));
      count -= gone;
    }
  };
  struct Entry {
    i128 worst;
    std::unique_ptr<Chunk> chunk;
  };

  // The last chunk that does not begin behind `price` (the first one where all do): near the hint, else by halving.
  std::size_t chunk_of(i128 price, std::size_t hint) const {
    const std::size_t n = directory_.size();
    std::size_t i = std::min(hint, n - 1);
    if (!worse(price, directory_[i].worst)) {
      while (i + 1 < n && !worse(price, directory_[i + 1].worst)) ++i;
      return i;
    }
    std::size_t high = i, step = 1, low = 0;  // directory_[high] begins behind the price
    while (high >= step) {
      low = high - step;
      if (!worse(price, directory_[low].worst)) break;
      high = low;
      low = 0;
      step *= 2;
    }
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (worse(price, directory_[middle].worst) ? high : low) = middle;
    }
    return low;
  }

  // Where a price stands in a chunk, or belongs.
  static std::size_t place_in(const Chunk& chunk, i128 price) {
    const Level* first = chunk.levels;
    for (std::size_t count = chunk.count; count;) {
      const std::size_t half = count / 2;
      const bool behind = worse(first[half].price, price);
      first = behind ? first + half + 1 : first;
      count = behind ? count - half - 1 : half;
    }
    return std::size_t(first - chunk.levels);
  }

  std::size_t insert(std::size_t i, std::size_t k, const Change& change) {
    if (directory_[i].chunk->count == CAPACITY) {
      constexpr std::size_t HALF = CAPACITY / 2;
      auto right = std::make_unique<Chunk>();
      Chunk& left = *directory_[i].chunk;
      std::copy(left.levels + HALF, left.levels + CAPACITY, right->levels);
      std::copy(left.sent + HALF, left.sent + CAPACITY, right->sent);
      right->count = HALF;
      left.count = HALF;
      const i128 worst = right->levels[0].price;
      directory_.insert(directory_.begin() + std::ptrdiff_t(i) + 1, Entry{worst, std::move(right)});
      if (k > HALF) {
        ++i;
        k -= HALF;
      }
    }
    Chunk& chunk = *directory_[i].chunk;
    chunk.open(k);
    chunk.levels[k] = change.level;
    chunk.sent[k] = change.sent;
    if (k == 0) directory_[i].worst = change.level.price;
    ++count_;
    beyond_ += bounded_ && worse(change.level.price, bound_);
    return i;
  }

  std::size_t erase(std::size_t i, std::size_t k) {
    Chunk& chunk = *directory_[i].chunk;
    beyond_ -= bounded_ && worse(chunk.levels[k].price, bound_);
    --count_;
    chunk.close(k, 1);
    if (chunk.count == 0) {
      directory_.erase(directory_.begin() + std::ptrdiff_t(i));
      return i ? i - 1 : 0;
    }
    if (k == 0) directory_[i].worst = chunk.levels[0].price;
    return i;
  }

  // Behind all others, in chunks that have room for what comes between.
  void append(const Change& change) {
    if (directory_.empty() || directory_.back().chunk->count >= CAPACITY * 3 / 4) {
      directory_.push_back({change.level.price, std::make_unique<Chunk>()});
    }
    Chunk& chunk = *directory_.back().chunk;
    chunk.levels[chunk.count] = change.level;
    chunk.sent[chunk.count] = change.sent;
    ++chunk.count;
    ++count_;
  }

  std::vector<Entry> directory_;
  std::size_t count_ = 0;
  std::size_t beyond_ = 0;
  bool bounded_ = false;
  i128 bound_ = 0;
};

}  // namespace hoga
