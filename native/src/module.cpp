// hoga_native: the book of include/hoga as a Python class that does what hoga.domain.books.Book promises.
//
// Texts come in as lists of (price, size) and are refused with hoga's own FrameError, worded by hoga itself; raw levels
// come in as the JSON bytes of a frame and are refused by a status, which is no verdict. Beside it, envelopes of frames.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "hoga/envelope.hpp"
#include "hoga/message.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using hoga::Book;
using hoga::Change;
using hoga::i128;
using hoga::i64;
using hoga::Level;
using hoga::Sent;
using hoga::Shape;
using hoga::Status;
using hoga::u128;
using hoga::u64;
using hoga::Update;

Update& scratch() {  // one update is read at a time; what it needs of memory is kept for the next one
  static thread_local Update update;
  return update;
}

// ---- Python objects of numbers and texts

nb::object integer(u128 value) {
  PyObject* low = PyLong_FromUnsignedLongLong(u64(value));
  if (value >> 64 == 0) return nb::steal(low);
  PyObject* high = PyLong_FromUnsignedLongLong(u64(value >> 64));
  PyObject* bits = PyLong_FromLong(64);
  PyObject* shifted = PyNumber_Lshift(high, bits);
  PyObject* sum = PyNumber_Or(shifted, low);
  for (PyObject* used : {high, low, bits, shifted}) Py_XDECREF(used);
  if (!sum) throw nb::python_error();
  return nb::steal(sum);
}

nb::object in_units(i128 value, int decimals) { return integer(u128(value) * hoga::pow10(hoga::MAX_DECIMALS - decimals)); }

nb::str text(const std::string& value) { return nb::str(value.data(), value.size()); }

// The characters of a str; what is not ASCII is no number, so one character of it is enough to be refused.
std::string_view characters(PyObject* found) {
  if (!PyUnicode_Check(found)) throw nb::type_error("a price and a size are texts");
  if (!PyUnicode_IS_COMPACT_ASCII(found)) return "?";
  return {reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(found)), std::size_t(PyUnicode_GET_LENGTH(found))};
}

// The bytes of a bytes object, a msgspec.Raw or whatever else shows its memory, as long as this lives.
class Bytes {
 public:
  explicit Bytes(nb::handle found) {
    if (PyBytes_CheckExact(found.ptr())) {
      view = {PyBytes_AS_STRING(found.ptr()), std::size_t(PyBytes_GET_SIZE(found.ptr()))};
      return;
    }
    if (PyObject_GetBuffer(found.ptr(), &buffer_, PyBUF_SIMPLE) != 0) throw nb::python_error();
    view = {static_cast<const char*>(buffer_.buf), std::size_t(buffer_.len)};
  }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes() {
    if (buffer_.obj) PyBuffer_Release(&buffer_);
  }
  std::string_view view;

 private:
  Py_buffer buffer_{};
};

// ---- reading

[[noreturn]] void refuse(nb::handle price, nb::handle size) {
  nb::module_::import_("hoga.domain.book").attr("refuse")(scratch().refused_ask, scratch().refused_index, price, size);
  throw nb::value_error("hoga.domain.book.refuse has to raise");
}

void read_side(Update& update, nb::list levels, bool ask) {
  for (nb::handle level : levels) {
    PyObject* const pair = level.ptr();
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) throw nb::type_error("a level is a tuple of two texts");
    PyObject *const price = PyTuple_GET_ITEM(pair, 0), *const size = PyTuple_GET_ITEM(pair, 1);
    if (update.text(ask, characters(price), characters(size)) != Status::TAKEN) refuse(price, size);
  }
}

Update& read(const Book& book, nb::list bids, nb::list asks) {
  Update& update = scratch();
  update.begin(book.price_decimals(), book.size_decimals());
  read_side(update, bids, false);
  read_side(update, asks, true);
  return update;
}

// ---- showing

template <class S>
nb::tuple columns(const S& side, Py_ssize_t count) {
  const std::size_t depth = std::min(count > 0 ? std::size_t(count) : 0, side.size());
  nb::list prices = nb::steal<nb::list>(PyList_New(Py_ssize_t(depth)));
  nb::list sizes = nb::steal<nb::list>(PyList_New(Py_ssize_t(depth)));
  Py_ssize_t k = 0;
  side.each(depth, [&](const Level& level, const Sent&) {
    PyList_SET_ITEM(prices.ptr(), k, integer(u128(level.price)).release().ptr());
    PyList_SET_ITEM(sizes.ptr(), k, integer(u128(level.size)).release().ptr());
    ++k;
  });
  return nb::make_tuple(prices, sizes);
}

template <class S>
nb::list texts(const Book& book, const S& side, Py_ssize_t count, bool as_sent) {
  nb::list found;
  side.each(count > 0 ? std::size_t(count) : 0, [&](const Level& level, const Sent& sent) {
    found.append(nb::make_tuple(text(hoga::text_of(level.price, book.price_decimals(), as_sent ? sent.price : -1)),
                                text(hoga::text_of(level.size, book.size_decimals(), as_sent ? sent.size : -1))));
  });
  return found;
}

template <class S>
nb::dict values(const Book& book, const S& side) {
  nb::dict found;
  side.each(side.size(), [&](const Level& level, const Sent&) {
    found[in_units(level.price, book.price_decimals())] = in_units(level.size, book.size_decimals());
  });
  return found;
}

template <class S>
nb::object bound(const Book& book, const S& side) {
  return side.bounded() ? in_units(side.bound(), book.price_decimals()) : nb::none();
}

nb::object range(const Book& book, bool some, i128 low, i128 high) {
  if (!some) return nb::none();
  return nb::make_tuple(in_units(low, book.price_decimals()), in_units(high, book.price_decimals()));
}

template <class S>
bool same_levels(const Book& one, const S& ours, const Book& other, const S& theirs, std::size_t depth) {
  if (std::min(depth, ours.size()) != std::min(depth, theirs.size())) return false;
  std::vector<Level> levels;
  levels.reserve(std::min(depth, ours.size()));
  const u128 our_price = hoga::pow10(hoga::MAX_DECIMALS - one.price_decimals());
  const u128 our_size = hoga::pow10(hoga::MAX_DECIMALS - one.size_decimals());
  ours.each(depth, [&](const Level& level, const Sent&) {
    levels.push_back({i128(u128(level.price) * our_price), i128(u128(level.size) * our_size)});
  });
  const u128 their_price = hoga::pow10(hoga::MAX_DECIMALS - other.price_decimals());
  const u128 their_size = hoga::pow10(hoga::MAX_DECIMALS - other.size_decimals());
  std::size_t k = 0;
  bool same = true;
  theirs.each(depth, [&](const Level& level, const Sent&) {
    same = same && levels[k].price == i128(u128(level.price) * their_price) &&
           levels[k].size == i128(u128(level.size) * their_size);
    ++k;
  });
  return same;
}

nb::object size_at(const Book& book, nb::handle side, nb::handle price) {
  const std::string_view shown = characters(price.ptr());
  hoga::Number number;
  if (!hoga::parse(shown.data(), shown.data() + shown.size(), number)) {
    scratch().begin(0, 0);
    refuse(price, nb::str("0"));
  }
  if (number.decimals() > book.price_decimals()) return nb::str("0");
  const i128 key = number.at(book.price_decimals());
  const Level* found = nb::cast<int>(nb::int_(side)) == 0 ? book.bids.find(key) : book.asks.find(key);
  return found ? text(hoga::text_of(found->size, book.size_decimals())) : nb::str("0");
}

// ---- the steady path

class PyBook : public Book {
 public:
  u64 digest = 0;

  Status read_raw(const Shape& shape, nb::handle first, nb::handle second, Update& update) {
    const Bytes one(first), other(second);
    update.begin(price_decimals(), size_decimals());
    return update.json(shape, one.view, other.view);
  }

  int apply_raw(const Shape& shape, nb::handle first, nb::handle second, std::size_t need) {
    Update& update = scratch();
    const Status status = read_raw(shape, first, second, update);
    if (status != Status::TAKEN) return int(status);
    digest = update.digest();
    apply(update);
    return int(crossed() ? Status::CROSSED : thin(need) ? Status::THIN : Status::TAKEN);
  }

  int replace_raw(const Shape& shape, nb::handle first, nb::handle second, std::size_t limit) {
    Update& update = scratch();
    const Status status = read_raw(shape, first, second, update);
    if (status != Status::TAKEN) return int(status);
    digest = update.digest();
    replace(update, limit);
    return int(crossed() ? Status::CROSSED : Status::TAKEN);
  }

  nb::object digest_raw(const Shape& shape, nb::handle first, nb::handle second) {
    Update& update = scratch();
    if (read_raw(shape, first, second, update) != Status::TAKEN) return nb::none();
    return nb::int_(update.digest());
  }

  nb::object message(nb::bytes head, u64 revision, u64 sequence, u64 exchange_ns, u64 receive_ns, u64 publish_ns,
                     std::size_t depth) const {
    static thread_local std::string out;
    out.assign(head.c_str(), head.size());
    hoga::write_field(out, 7, revision);
    hoga::write_field(out, 8, sequence);
    hoga::write_field(out, 9, exchange_ns);
    hoga::write_field(out, 10, receive_ns);
    hoga::write_field(out, 11, publish_ns);
    if (!hoga::write_levels(out, *this, depth)) return nb::none();
    return nb::bytes(out.data(), out.size());
  }
};

// ---- envelopes

nb::bytes write_envelope(nb::bytes head, u64 link_seq, i64 receive_time_ns, i64 receive_mono_ns, nb::bytes payload) {
  static thread_local std::string out;
  out.assign(head.c_str(), head.size());
  hoga::write_envelope(out, {link_seq, u64(receive_time_ns), u64(receive_mono_ns), {payload.c_str(), payload.size()}});
  return nb::bytes(out.data(), out.size());
}

nb::object read_envelope(nb::bytes data, std::size_t at) {
  hoga::Envelope found;
  if (at > data.size() || !hoga::read_envelope({data.c_str() + at, data.size() - at}, found)) return nb::none();
  return nb::make_tuple(found.link_seq, i64(found.receive_time_ns), i64(found.receive_mono_ns),
                        nb::bytes(found.payload.data(), found.payload.size()));
}

Shape make_shape(const std::string& kind, bool quoted, bool more, const std::string& price, const std::string& size,
                 const std::string& side, const std::string& bid, const std::string& ask, const std::string& bid_price,
                 const std::string& bid_size) {
  Shape shape;
  if (kind == "rows") {
    shape.kind = Shape::Kind::ROWS;
  } else if (kind == "objects") {
    shape.kind = Shape::Kind::OBJECTS;
  } else if (kind == "sided") {
    shape.kind = Shape::Kind::SIDED;
  } else if (kind == "units") {
    shape.kind = Shape::Kind::UNITS;
  } else {
    throw nb::value_error("a shape is rows, objects, sided or units");
  }
  shape.quoted = quoted;
  shape.more = more;
  shape.price = price;
  shape.size = size;
  shape.side = side;
  shape.bid = bid;
  shape.ask = ask;
  shape.bid_price = bid_price;
  shape.bid_size = bid_size;
  return shape;
}

}  // namespace

NB_MODULE(hoga_native, m) {
  m.attr("TAKEN") = int(Status::TAKEN);
  m.attr("CROSSED") = int(Status::CROSSED);
  m.attr("THIN") = int(Status::THIN);
  m.attr("SHAPE") = int(Status::SHAPE);
  m.attr("NUMBER") = int(Status::NUMBER);
  m.attr("__version__") = HOGA_NATIVE_VERSION;

  m.def("write_envelope", &write_envelope, "head"_a, "link_seq"_a, "receive_time_ns"_a, "receive_mono_ns"_a, "payload"_a);
  m.def("read_envelope", &read_envelope, "data"_a, "at"_a);

  nb::class_<Shape>(m, "Shape").def_static("make", &make_shape, "kind"_a, "quoted"_a = true, "more"_a = false,
                                           "price"_a = "", "size"_a = "", "side"_a = "", "bid"_a = "", "ask"_a = "",
                                           "bid_price"_a = "", "bid_size"_a = "");

  nb::class_<PyBook>(m, "Book")
      .def(nb::init<>())
      .def_rw("orphan_deletes", &PyBook::orphan_deletes)
      .def("replace",
           [](PyBook& book, nb::list bids, nb::list asks, Py_ssize_t limit) {
             Update& update = read(book, bids, asks);
             static_cast<Book&>(book).replace(update, limit > 0 ? std::size_t(limit) : 0);
           },
           "bids"_a, "asks"_a, "limit"_a = 0)
      .def("apply", [](PyBook& book, nb::list bids, nb::list asks) { book.Book::apply(read(book, bids, asks)); },
           "bids"_a, "asks"_a)
      .def("truncate", [](PyBook& book, Py_ssize_t depth) { book.truncate(depth > 0 ? std::size_t(depth) : 0); }, "depth"_a)
      .def("remove_contradicted",
           [](PyBook& book, nb::list bids, nb::list asks) { return book.Book::remove_contradicted(read(book, bids, asks)); },
           "bids"_a, "asks"_a)
      .def("copy", [](const PyBook& book) { return PyBook(book); })
      .def("__copy__", [](const PyBook& book) { return PyBook(book); })
      .def("__deepcopy__", [](const PyBook& book, nb::handle) { return PyBook(book); }, "memo"_a)
      .def("__sizeof__", [](const PyBook& book) { return sizeof(PyBook) + book.bids.bytes() + book.asks.bytes(); })
      .def_prop_ro("crossed", [](const PyBook& book) { return book.crossed(); })
      .def_prop_ro("bid_count", [](const PyBook& book) { return book.bids.size(); })
      .def_prop_ro("ask_count", [](const PyBook& book) { return book.asks.size(); })
      .def_prop_ro("bids_known", [](const PyBook& book) { return book.bids.known(); })
      .def_prop_ro("asks_known", [](const PyBook& book) { return book.asks.known(); })
      .def_prop_ro("low", [](const PyBook& book) { return bound(book, book.bids); })
      .def_prop_ro("high", [](const PyBook& book) { return bound(book, book.asks); })
      .def_prop_ro("bid_range",
                   [](const PyBook& book) {
                     const bool some = !book.bids.empty();
                     return range(book, some, some ? book.bids.worst() : 0, some ? book.bids.best() : 0);
                   })
      .def_prop_ro("ask_range",
                   [](const PyBook& book) {
                     const bool some = !book.asks.empty();
                     return range(book, some, some ? book.asks.best() : 0, some ? book.asks.worst() : 0);
                   })
      .def_prop_ro("price_decimals", [](const PyBook& book) { return book.price_decimals(); })
      .def_prop_ro("size_decimals", [](const PyBook& book) { return book.size_decimals(); })
      .def("top_bids", [](const PyBook& book, Py_ssize_t count) { return columns(book.bids, count); }, "count"_a)
      .def("top_asks", [](const PyBook& book, Py_ssize_t count) { return columns(book.asks, count); }, "count"_a)
      .def("texts",
           [](const PyBook& book, Py_ssize_t depth) {
             return nb::make_tuple(texts(book, book.bids, depth, false), texts(book, book.asks, depth, false));
           },
           "depth"_a)
      .def("sent_texts",
           [](const PyBook& book, Py_ssize_t depth) {
             return nb::make_tuple(texts(book, book.bids, depth, true), texts(book, book.asks, depth, true));
           },
           "depth"_a)
      .def("sent_digits",
           [](const PyBook& book, Py_ssize_t depth) {
             const std::string digits = book.Book::sent_digits(depth > 0 ? std::size_t(depth) : 0);
             return nb::bytes(digits.data(), digits.size());
           },
           "depth"_a)
      .def("values",
           [](const PyBook& book) { return nb::make_tuple(values(book, book.bids), values(book, book.asks)); })
      .def("size_at", [](const PyBook& book, nb::handle side, nb::handle price) { return size_at(book, side, price); },
           "side"_a, "price"_a)
      .def("equals",
           [](const PyBook& book, nb::object other, Py_ssize_t depth) {
             if (!nb::isinstance<PyBook>(other)) return nb::cast<bool>(other.attr("equals")(nb::find(book), depth));
             const PyBook& twin = nb::cast<const PyBook&>(other);
             const std::size_t count = depth > 0 ? std::size_t(depth) : ~std::size_t(0);
             return same_levels(book, book.bids, twin, twin.bids, count) &&
                    same_levels(book, book.asks, twin, twin.asks, count);
           },
           "other"_a, "depth"_a = 0)
      .def("digest_of", [](const PyBook& book, nb::list bids, nb::list asks) { return read(book, bids, asks).digest(); },
           "bids"_a, "asks"_a)
      .def_ro("digest", &PyBook::digest)
      .def_prop_ro("refused", [](const PyBook&) { return nb::make_tuple(scratch().refused_ask ? 1 : 0, scratch().refused_index); })
      .def("apply_raw", &PyBook::apply_raw, "shape"_a, "bids"_a, "asks"_a, "need"_a = 0)
      .def("replace_raw", &PyBook::replace_raw, "shape"_a, "bids"_a, "asks"_a, "limit"_a = 0)
      .def("digest_raw", &PyBook::digest_raw, "shape"_a, "bids"_a, "asks"_a)
      .def("message", &PyBook::message, "head"_a, "revision"_a, "sequence"_a, "exchange_ns"_a, "receive_ns"_a,
           "publish_ns"_a, "depth"_a);
}
