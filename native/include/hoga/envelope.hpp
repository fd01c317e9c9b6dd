// The part of an `orderbook.v1.RawFrame` that is new with every frame: fields 5, 6, 9 and 10 of proto/orderbook/v1/raw.proto.
//
// Concatenating protobuf messages merges them, so these bytes follow a head that is constant for a link and symbol. What
// is written is what protobuf itself writes of these fields. Read is only what holds them alone: a refusal is no verdict.
#pragma once

#include <string_view>

#include "hoga/message.hpp"

namespace hoga {

struct Envelope {
  u64 link_seq = 0, receive_time_ns = 0, receive_mono_ns = 0;  // the times are int64 in two's complement
  std::string_view payload;
};

inline void write_envelope(std::string& out, const Envelope& envelope) {
  write_field(out, 5, envelope.link_seq);
  write_field(out, 6, envelope.receive_time_ns);
  if (!envelope.payload.empty()) {
    write_varint(out, 9 << 3 | 2);
    write_varint(out, envelope.payload.size());
    out.append(envelope.payload);
  }
  write_field(out, 10, envelope.receive_mono_ns);
}

// False, and `at` anywhere, where no number of at most 64 bits stands there.
inline bool read_varint(std::string_view from, std::size_t& at, u64& value) {
  value = 0;
  for (int shift = 0; shift < 64 && at < from.size(); shift += 7) {
    const u64 bits = static_cast<unsigned char>(from[at++]);
    if (shift == 63 && bits > 1) return false;
    value |= (bits & 127) << shift;
    if (bits < 128) return true;
  }
  return false;
}

inline bool read_envelope(std::string_view from, Envelope& envelope) {
  for (std::size_t at = 0; at < from.size();) {
    const unsigned tag = static_cast<unsigned char>(from[at++]);
    u64 value = 0;
    if (!read_varint(from, at, value)) return false;
    switch (tag) {
      case 5 << 3: envelope.link_seq = value; break;
      case 6 << 3: envelope.receive_time_ns = value; break;
      case 10 << 3: envelope.receive_mono_ns = value; break;
      case 9 << 3 | 2:
        if (value > from.size() - at) return false;
        envelope.payload = from.substr(at, std::size_t(value));
        at += std::size_t(value);
        break;
      default: return false;
    }
  }
  return true;
}

}  // namespace hoga
