// A book's share of an `orderbook.v1.OrderBook`: fields 12 to 19 of proto/orderbook/v1/book.proto.
//
// Concatenating protobuf messages merges them, so these bytes follow a head that others made. Only known levels are
// written. Where a value does not fit 64 bits there is no message: the rare forms are not written here.
#pragma once

#include "hoga/book.hpp"

namespace hoga {

inline void write_varint(std::string& out, u64 value) {
  for (; value >= 128; value >>= 7) out.push_back(char(value | 128));
  out.push_back(char(value));
}

// A field of a varint; zero is not written.
inline void write_field(std::string& out, int field, u64 value) {
  if (value == 0) return;
  write_varint(out, u64(field) << 3);
  write_varint(out, value);
}

namespace detail {

inline u64 zigzag(i64 value) { return (u64(value) << 1) ^ (value < 0 ? ~u64(0) : 0); }

inline std::size_t varint_bytes(u64 value) {
  std::size_t bytes = 1;
  for (; value >= 128; value >>= 7) ++bytes;
  return bytes;
}

// Two columns of one side, packed; false where a value does not fit.
template <class S>
bool write_columns(std::string& out, int field, const S& side, std::size_t depth) {
  if (depth == 0) return true;
  std::size_t price_bytes = 0, size_bytes = 0;
  u128 all = 0;
  side.each(depth, [&](const Level& level, const Sent&) {
    all |= u128(level.price) | u128(level.size);
    price_bytes += varint_bytes(u64(level.price) << 1);
    size_bytes += varint_bytes(u64(level.size) << 1);
  });
  if (all > u128(INT64_MAX)) return false;
  write_varint(out, u64(field) << 3 | 2);
  write_varint(out, price_bytes);
  side.each(depth, [&](const Level& level, const Sent&) { write_varint(out, u64(level.price) << 1); });
  write_varint(out, u64(field + 1) << 3 | 2);
  write_varint(out, size_bytes);
  side.each(depth, [&](const Level& level, const Sent&) { write_varint(out, u64(level.size) << 1); });
  return true;
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
