// A book's share of an `orderbook.v1.OrderBook`: fields 12 to 19 of proto/orderbook/v1/book.proto.
//
// Concatenating protobuf messages merges them, so these bytes follow a head that others made. Only known levels are
// written. Where a value does not fit 64 bits there is no message: the rare forms are not written here.
#pragma once

#include "hoga/book.hpp"

namespace hoga {

inline char* put_varint(char* to, u64 value) {
  for (; value >= 128; value >>= 7) *to++ = char(value | 128);
  *to++ = char(value);
  return to;
}

inline void write_varint(std::string& out, u64 value) {
  char bytes[10];
  out.append(bytes, put_varint(bytes, value));
}

// A field of a varint; zero is not written.
inline void write_field(std::string& out, int field, u64 value) {
  if (value == 0) return;
  write_varint(out, u64(field) << 3);
  write_varint(out, value);
}

namespace detail {

inline u64 zigzag(i64 value) { return (u64(value) << 1) ^ (value < 0 ? ~u64(0) : 0); }

// One packed column; false where a value does not fit.
template <class S, class Value>
bool write_column(std::string& out, int field, const S& side, std::size_t depth, Value value_of) {
  constexpr std::size_t LONGEST = 10;
  static thread_local std::string packed;
  packed.resize(std::max(packed.size(), depth * LONGEST));
  char* to = packed.data();
  u128 all = 0;
  side.each(depth, [&](const Level& level, const Sent&) {
    const u128 value = u128(value_of(level));
    all |= value;
    to = put_varint(to, u64(value) << 1);
  });
  const std::size_t bytes = std::size_t(to - packed.data());
  write_varint(out, u64(field) << 3 | 2);
  write_varint(out, bytes);
  out.append(packed.data(), bytes);
  return all <= u128(INT64_MAX);
}

// Two columns of one side, packed; false where a value does not fit.
template <class S>
bool write_columns(std::string& out, int field, const S& side, std::size_t depth) {
  if (depth == 0) return true;
  return write_column(out, field, side, depth, [](const Level& level) { return level.price; }) &&
         write_column(out, field + 1, side, depth, [](const Level& level) { return level.size; });
}

}  // namespace detail

// Appends the exponents, the best `depth` known levels a side (0: all) and how many are known. False: nothing fits.
inline bool write_levels(std::string& out, const Book& book, std::size_t depth) {
  const std::size_t bids = book.bids.known(), asks = book.asks.known();
  write_field(out, 12, detail::zigzag(-book.price_decimals()));
  write_field(out, 13, detail::zigzag(-book.size_decimals()));
  if (!detail::write_columns(out, 14, book.bids, depth ? std::min(depth, bids) : bids)) return false;
  if (!detail::write_columns(out, 16, book.asks, depth ? std::min(depth, asks) : asks)) return false;
  write_field(out, 18, bids);
  write_field(out, 19, asks);
  return true;
}

}  // namespace hoga
