// The book of one symbol: exact integers, sorted, with the range in which it is proven.
//
// What it means is said by its reference, hoga/domain/book.py. An update is read whole first, by `Update`, which may
// refuse it; then it is taken, which cannot fail. No Python in here.
#pragma once

#include "hoga/side.hpp"
#include "hoga/update.hpp"

namespace hoga {

class Book {
 public:
  static constexpr std::size_t MAX_SIDE_LEVELS = 60'000;
  static constexpr std::size_t TRIMMED_SIDE_LEVELS = 50'000;

  Side<Way::BIDS> bids;
  Side<Way::ASKS> asks;
  u64 orphan_deletes = 0;

  int price_decimals() const { return price_decimals_; }
  int size_decimals() const { return size_decimals_; }

  bool crossed() const { return !bids.empty() && !asks.empty() && bids.best() >= asks.best(); }

  // Whether fewer than `need` levels of a side that is not known to the end are known.
  bool thin(std::size_t need) const {
    return (bids.bounded() && bids.known() < need) || (asks.bounded() && asks.known() < need);
  }

  // `update` has to begin with this book's decimals. Sets levels to absolute sizes, zero deletes.
  void apply(const Update& update) {
    widen(update);
    std::size_t hint = bids.NO_HINT;
    for (const Change& change : update.bids) hint = bids.set(change, hint, orphan_deletes);
    hint = asks.NO_HINT;
    for (const Change& change : update.asks) hint = asks.set(change, hint, orphan_deletes);
    if (bids.size() > MAX_SIDE_LEVELS || asks.size() > MAX_SIDE_LEVELS) {
      bids.trim(TRIMMED_SIDE_LEVELS);
      asks.trim(TRIMMED_SIDE_LEVELS);
    }
  }

  // Takes a snapshot for which `limit` levels a side were asked (0: all there are). Puts the update in order.
  void replace(Update& update, std::size_t limit) {
    widen(update);
    const bool more_bids = limit && update.bids.size() >= limit, more_asks = limit && update.asks.size() >= limit;
    bids.replace(update.bids);
    asks.replace(update.asks);
    if (more_bids && !bids.empty()) bids.bind_to_worst();
    if (more_asks && !asks.empty()) asks.bind_to_worst();
  }

  void truncate(std::size_t depth) {
    bids.cut(depth);
    asks.cut(depth);
  }

  // Removes what the update just applied contradicts; gives how many levels.
  std::size_t remove_contradicted(const Update& update) {
    widen(update);
    i128 highest = 0, lowest = 0;  // what the update set; 0: nothing
    for (const Change& change : update.bids) {
      if (change.level.size != 0) highest = std::max(highest, change.level.price);
    }
    for (const Change& change : update.asks) {
      if (change.level.size != 0) lowest = lowest ? std::min(lowest, change.level.price) : change.level.price;
    }
    std::size_t removed = 0;
    if (highest) removed += asks.remove_best([=](i128 price) { return price <= highest; }, update.asks);
    if (lowest) removed += bids.remove_best([=](i128 price) { return price >= lowest; }, update.bids);
    return removed;
  }

  // The digits of the best levels as they were sent, without points and leading zeros: asks, then bids, price and size
  // of each in turn. What Kraken sums up.
  std::string sent_digits(std::size_t depth) const {
    std::string digits;
    char buffer[400];
    char* const end = buffer + sizeof buffer;
    const auto add = [&](i128 value, int decimals, int sent) {
      if (value == 0) return;
      char* first = end;
      for (; sent > decimals; --sent) *--first = '0';
      first = write_digits(first, u128(value) / pow10(decimals - sent));
      digits.append(first, end);
    };
    const auto level = [&](const Level& found, const Sent& sent) {
      add(found.price, price_decimals_, sent.price);
      add(found.size, size_decimals_, sent.size);
    };
    asks.each(depth, level);
    bids.each(depth, level);
    return digits;
  }

 private:
  void widen(const Update& update) {
    if (update.price_decimals == price_decimals_ && update.size_decimals == size_decimals_) return;
    const i128 by_price = i128(pow10(update.price_decimals - price_decimals_));
    const i128 by_size = i128(pow10(update.size_decimals - size_decimals_));
    bids.scale(by_price, by_size);
    asks.scale(by_price, by_size);
    price_decimals_ = update.price_decimals;
    size_decimals_ = update.size_decimals;
  }

  int price_decimals_ = 0;
  int size_decimals_ = 0;
};

}  // namespace hoga
