// One update, read whole before any of it touches a book.
//
// Numbers come as texts, or as the JSON of a frame's levels of a known shape. The JSON reader is given what a JSON
// decoder has accepted already and takes a strict part of it, of fixed depth, without recursion: no nested values, no
// escapes, no signs, a key it knows once only. What it refuses (`SHAPE`) may be right all the same: that is for the ordinary
// way of reading to say. It never reads beyond `end`.
#pragma once

#include <string_view>

#include "hoga/number.hpp"
#include "hoga/side.hpp"

namespace hoga {

enum class Status {
  TAKEN = 0,
  CROSSED = 1,  // taken, and the best bid is at or above the best ask
  THIN = 2,     // taken, and fewer levels of a bounded side are known than were asked for
  SHAPE = 3,    // refused: not of the strict shape
  NUMBER = 4,   // refused: a number, or a price of zero
};

// How an exchange writes its levels.
struct Shape {
  enum class Kind {
    ROWS,     // ["price", "size", …], a list for each side
    OBJECTS,  // {price: …, size: …}, a list for each side
    SIDED,    // {side: …, price: …, size: …}, one list of both sides
    UNITS,    // {price: …, size: …, bid_price: …, bid_size: …}, the ask first; zeros are padding
  };
  Kind kind = Kind::ROWS;
  bool quoted = true;  // whether numbers are JSON strings; else they are JSON numbers
  bool more = false;   // ROWS: whether further elements follow
  std::string price, size;
  std::string side, bid, ask;        // SIDED: the key and its two words
  std::string bid_price, bid_size;   // UNITS
};

constexpr std::size_t MAX_LEVELS = 100'000;

class Update {
 public:
  std::vector<Change> bids, asks;
  int price_decimals = 0;
  int size_decimals = 0;
  // Which level was refused: the side and its place there (SIDED, UNITS: its place in the one list).
  bool refused_ask = false;
  std::size_t refused_index = 0;

  // Forgets what was read; the columns begin as those of the book that will take it.
  void begin(int price_decimals_, int size_decimals_) {
    constexpr std::size_t KEPT = 4096;
    for (std::vector<Change>* side : {&bids, &asks}) {
      if (side->capacity() > KEPT) *side = {};
      side->clear();
    }
    price_decimals = price_decimals_;
    size_decimals = size_decimals_;
  }

  // One level as two texts.
  Status text(bool ask, std::string_view price, std::string_view size) {
    std::vector<Change>& side = ask ? asks : bids;
    refuse_at(ask, side.size());
    Change change;
    const char* p = price.data();
    const char* q = size.data();
    if (!number(p, p + price.size(), true, change) || p != price.data() + price.size()) return Status::NUMBER;
    if (change.level.price == 0) return Status::NUMBER;
    if (!number(q, q + size.size(), false, change) || q != size.data() + size.size()) return Status::NUMBER;
    side.push_back(change);
    return Status::TAKEN;
  }

  // The JSON of the levels; SIDED and UNITS have all in `first`.
  Status json(const Shape& shape, std::string_view first, std::string_view second) {
    if (shape.kind == Shape::Kind::SIDED || shape.kind == Shape::Kind::UNITS) {
      return second.empty() ? list(shape, first, false) : Status::SHAPE;
    }
    const Status status = list(shape, first, false);
    return status == Status::TAKEN ? list(shape, second, true) : status;
  }

  // Of the values, whatever the columns' decimals: equal for two updates of the same levels in the same order.
  u64 digest() const {
    const u64 by_price = POW10[MAX_DECIMALS - price_decimals], by_size = POW10[MAX_DECIMALS - size_decimals];
    u64 sum = 0x2545F4914F6CDD1Dull ^ bids.size();
    const auto mix = [&sum](u128 value) {
      for (const u64 half : {u64(value), u64(value >> 64)}) {
        const u128 product = u128(sum ^ half) * 0x9FB21C651E98DF25ull;
        sum = (u64(product) ^ u64(product >> 64)) + 0x632BE59BD9B4E019ull;
      }
    };
    for (const std::vector<Change>* side : {&bids, &asks}) {
      for (const Change& change : *side) {
        mix(u128(change.level.price) * by_price);
        mix(u128(change.level.size) * by_size);
      }
    }
    return sum;
  }

 private:
  void refuse_at(bool ask, std::size_t index) {
    refused_ask = ask;
    refused_index = index;
  }

  // Reads one number into a price or a size and moves `p` behind it; a finer one widens what was read so far.
  bool number(const char*& p, const char* end, bool price, Change& change) {
    int& decimals = price ? price_decimals : size_decimals;
    i128& value = price ? change.level.price : change.level.size;
    int sent = 0;
    if (!parse_plain(p, end, decimals, value, sent)) {
      const char* last = p;
      while (last < end && last - p <= MAX_CHARS && is_numeric(*last)) ++last;
      Number number;
      if (!parse(p, last, number)) return false;
      if (number.decimals() > decimals) widen(price, number.decimals());
      value = number.at(decimals);
      sent = number.sent;
      p = last;
    }
    (price ? change.sent.price : change.sent.size) = std::uint8_t(std::min(sent, 255));
    return true;
  }

  static bool is_numeric(char c) { return digit_of(c) < 10 || c == '.' || c == 'e' || c == 'E' || c == '-' || c == '+'; }

  void widen(bool price, int decimals) {
    int& column = price ? price_decimals : size_decimals;
    const i128 factor = i128(pow10(decimals - column));
    for (std::vector<Change>* side : {&bids, &asks}) {
      for (Change& change : *side) (price ? change.level.price : change.level.size) *= factor;
    }
    if (pending_) (price ? pending_->level.price : pending_->level.size) *= factor;
    column = decimals;
  }

  Status list(const Shape& shape, std::string_view json, bool ask) {
    const char* p = json.data();
    const char* const end = p + json.size();
    if (!take(p, end, '[')) return Status::SHAPE;
    skip_space(p, end);
    if (p < end && *p == ']') {
      ++p;
    } else {
      for (std::size_t index = 0;; ++index) {
        refuse_at(ask, index);
        if (index == MAX_LEVELS) return Status::SHAPE;
        const Status status = shape.kind == Shape::Kind::ROWS ? row(shape, p, end, ask) : object(shape, p, end, ask);
        if (status != Status::TAKEN) return status;
        skip_space(p, end);
        if (p < end && *p == ',') {
          ++p;
          continue;
        }
        if (!take(p, end, ']')) return Status::SHAPE;
        break;
      }
    }
    skip_space(p, end);
    return p == end ? Status::TAKEN : Status::SHAPE;
  }

  Status row(const Shape& shape, const char*& p, const char* end, bool ask) {
    Change change;
    if (!take(p, end, '[')) return Status::SHAPE;
    Status status = spelled(shape, p, end, true, change);
    if (status != Status::TAKEN) return status;
    if (!take(p, end, ',')) return Status::SHAPE;
    status = spelled(shape, p, end, false, change);
    if (status != Status::TAKEN) return status;
    skip_space(p, end);
    while (shape.more && p < end && *p == ',') {
      ++p;
      if (!skip_scalar(p, end)) return Status::SHAPE;
      skip_space(p, end);
    }
    if (!take(p, end, ']')) return Status::SHAPE;
    return keep(change, ask);
  }

  Status object(const Shape& shape, const char*& p, const char* end, bool ask) {
    enum : unsigned { PRICE = 1, SIZE = 2, SIDE = 4, BID_PRICE = 8, BID_SIZE = 16 };
    const bool units = shape.kind == Shape::Kind::UNITS, sided = shape.kind == Shape::Kind::SIDED;
    const unsigned wanted = units ? PRICE | SIZE | BID_PRICE | BID_SIZE : sided ? PRICE | SIZE | SIDE : PRICE | SIZE;
    Change change{}, bid{};
    unsigned seen = 0;
    if (!take(p, end, '{')) return Status::SHAPE;
    for (;;) {
      std::string_view key;
      if (!string(p, end, key) || !take(p, end, ':')) return Status::SHAPE;
      unsigned now = 0;
      Status status = Status::TAKEN;
      if (key == shape.price) {
        now = PRICE;
        pending_ = units ? &bid : nullptr;
        status = spelled(shape, p, end, true, change);
      } else if (key == shape.size) {
        now = SIZE;
        pending_ = units ? &bid : nullptr;
        status = spelled(shape, p, end, false, change);
      } else if (units && key == shape.bid_price) {
        now = BID_PRICE;
        pending_ = &change;
        status = spelled(shape, p, end, true, bid);
      } else if (units && key == shape.bid_size) {
        now = BID_SIZE;
        pending_ = &change;
        status = spelled(shape, p, end, false, bid);
      } else if (sided && key == shape.side) {
        now = SIDE;
        std::string_view word;
        if (!string(p, end, word) || (word != shape.bid && word != shape.ask)) return Status::SHAPE;
        ask = word == shape.ask;
      } else if (!skip_scalar(p, end)) {
        return Status::SHAPE;
      }
      pending_ = nullptr;
      if (status != Status::TAKEN) return status;
      if (seen & now) return Status::SHAPE;
      seen |= now;
      skip_space(p, end);
      if (p < end && *p == ',') {
        ++p;
        continue;
      }
      if (!take(p, end, '}')) return Status::SHAPE;
      break;
    }
    if (seen != wanted) return Status::SHAPE;
    if (!units) return keep(change, ask);
    if (bid.level.price != 0 && bid.level.size != 0) bids.push_back(bid);
    if (change.level.price != 0 && change.level.size != 0) asks.push_back(change);
    return Status::TAKEN;
  }

  Status keep(const Change& change, bool ask) {
    if (change.level.price == 0) return Status::NUMBER;
    (ask ? asks : bids).push_back(change);
    return Status::TAKEN;
  }

  // A number in quotes, or without, as the shape has it.
  Status spelled(const Shape& shape, const char*& p, const char* end, bool price, Change& change) {
    skip_space(p, end);
    if (!shape.quoted) {
      if (p < end && (*p == '"' || *p == '-')) return Status::SHAPE;
      if (!number(p, end, price, change)) return Status::NUMBER;
      return p < end && (*p == ',' || *p == ']' || *p == '}' || is_space(*p)) ? Status::TAKEN : Status::NUMBER;
    }
    if (p >= end || *p != '"') return Status::SHAPE;
    ++p;
    if (p < end && *p == '-') return Status::SHAPE;
    if (!number(p, end, price, change) || p >= end || *p != '"') return Status::NUMBER;
    ++p;
    return Status::TAKEN;
  }

  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

  static void skip_space(const char*& p, const char* end) {
    while (p < end && is_space(*p)) ++p;
  }

  static bool take(const char*& p, const char* end, char wanted) {
    skip_space(p, end);
    if (p >= end || *p != wanted) return false;
    ++p;
    return true;
  }

  static bool string(const char*& p, const char* end, std::string_view& out) {
    if (!take(p, end, '"')) return false;
    const char* const first = p;
    for (; p < end && *p != '"'; ++p) {
      if (*p == '\\') return false;
    }
    if (p >= end) return false;
    out = std::string_view(first, std::size_t(p - first));
    ++p;
    return true;
  }

  static bool skip_scalar(const char*& p, const char* end) {
    skip_space(p, end);
    if (p >= end || *p == '[' || *p == '{') return false;
    std::string_view ignored;
    if (*p == '"') return string(p, end, ignored);
    const char* const first = p;
    while (p < end && *p != ',' && *p != ']' && *p != '}' && !is_space(*p)) ++p;
    return p > first;
  }

  Change* pending_ = nullptr;  // the other level of a unit that is being read: widened with the rest
};

}  // namespace hoga
