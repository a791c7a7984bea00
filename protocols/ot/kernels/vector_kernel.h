// What the kernels on AES instructions share: everything, written once over a vector V of V::kBlocks blocks.
// Included by one source file an instruction set, inside an anonymous namespace, with that file's compiler
// flags; it uses no library functions that could be shared with code for lesser processors.

/// AES-128 key schedule by its instruction.
template <int kConstant>
inline __m128i next_round_key(__m128i key) {
  const __m128i assist = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, kConstant), 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, assist);
}

class RoundKeys final : public AesKey {
 public:
  explicit RoundKeys(Block key) {
    __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&key));
    set(0, k);
    set(1, k = next_round_key<1>(k));
    set(2, k = next_round_key<2>(k));
    set(3, k = next_round_key<4>(k));
    set(4, k = next_round_key<8>(k));
    set(5, k = next_round_key<16>(k));
    set(6, k = next_round_key<32>(k));
    set(7, k = next_round_key<64>(k));
    set(8, k = next_round_key<128>(k));
    set(9, k = next_round_key<27>(k));
    set(10, next_round_key<54>(k));
  }
  ~RoundKeys() override { OPENSSL_cleanse(keys, sizeof keys); }
  Block keys[11];

 private:
  void set(int i, __m128i key) { _mm_storeu_si128(reinterpret_cast<__m128i*>(keys + i), key); }
};

inline __m128i load_block(const Block* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
inline void store_block(Block* to, __m128i x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), x);
}

template <class V>
struct Cipher {
  typename V::Register keys[11];
  explicit Cipher(const AesKey& key) {
    const auto& round_keys = static_cast<const RoundKeys&>(key);
    for (int i = 0; i < 11; ++i) keys[i] = V::broadcast(round_keys.keys + i);
  }
  template <int Z>
  __attribute__((always_inline)) inline void permute(typename V::Register* x) const {
    for (int z = 0; z < Z; ++z) x[z] = V::exclusive_or(x[z], keys[0]);
    for (int r = 1; r < 10; ++r) {
      for (int z = 0; z < Z; ++z) x[z] = V::round(x[z], keys[r]);
    }
    for (int z = 0; z < Z; ++z) x[z] = V::last_round(x[z], keys[10]);
  }
};

/// Runs body.template operator()<Z>(first) over [0, count) in groups of 8 vectors, then of 1; the rest (fewer
/// blocks than a vector) through a padded copy is the caller's.
template <class V, class Body>
__attribute__((always_inline)) inline std::size_t in_groups(std::size_t count, Body&& body) {
  constexpr std::size_t kWide = 8 * V::kBlocks;
  std::size_t at = 0;
  for (; at + kWide <= count; at += kWide) body.template operator()<8>(at);
  for (; at + V::kBlocks <= count; at += V::kBlocks) body.template operator()<1>(at);
  return at;
}

/// Parts of a·b, 128×128 bits to 256, in every lane.
template <class V>
struct Product {
  typename V::Register low, middle, high;
  void operator^=(const Product& other) {
    low = V::exclusive_or(low, other.low);
    middle = V::exclusive_or(middle, other.middle);
    high = V::exclusive_or(high, other.high);
  }
};
/// Halves added, in both places.
template <class V>
inline typename V::Register added_halves(typename V::Register x) {
  return V::exclusive_or(x, V::swap_halves(x));
}
/// Three products in place of four; `middle` also holds the other two. @param b_halves added_halves(b)
template <class V>
inline Product<V> carry_less(typename V::Register a, typename V::Register b, typename V::Register b_halves) {
  return {V::template multiply<0x00>(a, b), V::template multiply<0x00>(added_halves<V>(a), b_halves),
          V::template multiply<0x11>(a, b)};
}

/// What carry-less products add up to, modulo x^128 + x^7 + x^2 + x + 1.
inline __m128i reduce(__m128i product_low, __m128i product_middle, __m128i product_high) {
  const __m128i low = _mm_xor_si128(product_low, _mm_slli_si128(product_middle, 8));
  const __m128i high = _mm_xor_si128(product_high, _mm_srli_si128(product_middle, 8));
  const __m128i poly = _mm_set_epi64x(0, 0x87);
  // high = h1·x^64 + h0: h1·x^192 first, into x^64 and above
  const __m128i top = _mm_clmulepi64_si128(high, poly, 0x01);
  const __m128i folded = _mm_xor_si128(high, _mm_srli_si128(top, 8));
  const __m128i bottom = _mm_clmulepi64_si128(folded, poly, 0x00);
  return _mm_xor_si128(_mm_xor_si128(low, _mm_slli_si128(top, 8)), bottom);
}
inline __m128i multiply_blocks(__m128i a, __m128i b) {
  const __m128i cross = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));
  return reduce(_mm_clmulepi64_si128(a, b, 0x00), cross, _mm_clmulepi64_si128(a, b, 0x11));
}

template <class V>
class VectorKernel : public Kernel {
  using R = typename V::Register;
  static constexpr std::size_t kBlocks = V::kBlocks;

 public:
  std::unique_ptr<AesKey> key(Block key) const override {
    return std::unique_ptr<AesKey>(new RoundKeys(key));
  }

  void encrypt(const AesKey& key, Block* blocks, std::size_t count) const override {
    const Cipher<V> cipher(key);
    const auto body = [&]<int Z>(std::size_t at) {
      R x[Z];
      for (int z = 0; z < Z; ++z) x[z] = V::load(blocks + at + z * kBlocks);
      cipher.template permute<Z>(x);
      for (int z = 0; z < Z; ++z) V::store(blocks + at + z * kBlocks, x[z]);
    };
    const std::size_t done = in_groups<V>(count, body);
    if (done == count) return;
    Block rest[kBlocks] = {};
    for (std::size_t i = done; i < count; ++i) rest[i - done] = blocks[i];
    R x[1] = {V::load(rest)};
    cipher.template permute<1>(x);
    V::store(rest, x[0]);
    for (std::size_t i = done; i < count; ++i) blocks[i] = rest[i - done];
  }

  void stream(const AesKey& key, std::uint64_t counter, Block* out, std::size_t count) const override {
    for (std::size_t i = 0; i < count; ++i) out[i] = {counter + i, 0};
    encrypt(key, out, count);
  }

  Block expand_level(const AesKey& key, Block* nodes, std::size_t n, bool right_sum,
                     bool last) const override {
    const Cipher<V> cipher(key);
    const Block kept = {last ? ~std::uint64_t{1} : ~std::uint64_t{0}, ~std::uint64_t{0}};
    const R keep = V::broadcast(&kept);
    R left_sum = V::zero();
    R both_sum = V::zero();
    const auto body = [&]<int Z>(std::size_t at) {
      R parent[Z];
      R s[Z];
      R x[Z];
      for (int z = 0; z < Z; ++z) x[z] = s[z] = V::sigma(parent[z] = V::load(nodes + at + z * kBlocks));
      cipher.template permute<Z>(x);
      for (int z = 0; z < Z; ++z) {
        const R whole = V::exclusive_or(x[z], s[z]);
        const R right = V::both(V::exclusive_or(parent[z], whole), keep);
        const R left = V::both(whole, keep);
        V::store(nodes + at + z * kBlocks, left);
        V::store(nodes + n + at + z * kBlocks, right);
        left_sum = V::exclusive_or(left_sum, left);
        both_sum = V::exclusive_or(both_sum, V::exclusive_or(left, right));
      }
    };
    const std::size_t done = in_groups<V>(n, body);
    Block sums[2 * kBlocks];
    V::store(sums, left_sum);
    V::store(sums + kBlocks, both_sum);
    Block left_total;
    Block both_total;
    for (std::size_t i = 0; i < kBlocks; ++i) {
      left_total ^= sums[i];
      both_total ^= sums[kBlocks + i];
    }
    if (done < n) {  // fewer nodes than a vector holds: near the root only
      Block parent[kBlocks] = {};
      Block hashed[kBlocks];
      for (std::size_t i = done; i < n; ++i) parent[i - done] = nodes[i];
      R x[1] = {V::sigma(V::load(parent))};
      const R s = x[0];
      cipher.template permute<1>(x);
      V::store(hashed, V::exclusive_or(x[0], s));
      for (std::size_t i = done; i < n; ++i) {
        Block left = hashed[i - done];
        Block right = parent[i - done] ^ left;
        left.low &= kept.low;
        right.low &= kept.low;
        nodes[i] = left;
        nodes[n + i] = right;
        left_total ^= left;
        both_total ^= left ^ right;
      }
    }
    const std::uint64_t side = 0 - static_cast<std::uint64_t>(right_sum);
    return left_total ^ Block { both_total.low &side, both_total.high &side };
  }

  void encode(const AesKey& key, std::uint64_t counter, Block* out, const Block* secret, std::uint32_t mask,
              std::size_t count) const override {
    constexpr std::size_t kOutputs = V::kOutputsTogether;
    static_assert(32 % kOutputs == 0);
    Places<kOutputs> places(key, counter, mask);
    const char* const table = reinterpret_cast<const char*>(secret);
    alignas(64) std::uint32_t offsets[2][kOutputs * 10];
    places.draw(offsets[0]);
    for (std::size_t first = 0, turn = 0; first < count; first += kOutputs, ++turn) {
      const std::uint32_t* at = offsets[turn & 1];
      const std::uint32_t* soon = offsets[(turn + 1) & 1];
      places.draw(offsets[(turn + 1) & 1]);
      for (std::size_t i = 0; i < kOutputs; ++i, at += 10, soon += 10) {
        if constexpr (V::kPrefetch) {  // the places are public
          for (int j = 0; j < 10; ++j) _mm_prefetch(table + soon[j], _MM_HINT_T0);
        }
        const auto entry = [&](int j) { return load_block(reinterpret_cast<const Block*>(table + at[j])); };
        __m128i a = load_block(out + first + i);
        __m128i b = entry(0);
        for (int j = 1; j < 10; j += 3) {
          a = _mm_xor_si128(a, entry(j));
          b = _mm_xor_si128(b, _mm_xor_si128(entry(j + 1), entry(j + 2)));
        }
        store_block(out + first + i, _mm_xor_si128(a, b));
      }
    }
  }

  void pads(const AesKey& key, const Block* rows, Block offset, std::uint64_t first, std::size_t count,
            std::uint32_t* out) const override {
    const Cipher<V> cipher(key);
    const R shift = V::broadcast(&offset);
    const auto body = [&]<int Z>(std::size_t at) {
      R once[Z];
      R x[Z];
      for (int z = 0; z < Z; ++z) once[z] = V::exclusive_or(V::load(rows + at + z * kBlocks), shift);
      cipher.template permute<Z>(once);
      for (int z = 0; z < Z; ++z) x[z] = V::exclusive_or(once[z], V::counters(first + at + z * kBlocks));
      cipher.template permute<Z>(x);
      for (int z = 0; z < Z; ++z) V::store_low_words(out + at + z * kBlocks, V::exclusive_or(x[z], once[z]));
    };
    const std::size_t done = in_groups<V>(count, body);
    if (done == count) return;
    Block rest[kBlocks] = {};
    for (std::size_t i = done; i < count; ++i) rest[i - done] = rows[i];
    R once[1] = {V::exclusive_or(V::load(rest), shift)};
    cipher.template permute<1>(once);
    R x[1] = {V::exclusive_or(once[0], V::counters(first + done))};
    cipher.template permute<1>(x);
    std::uint32_t words[kBlocks];
    V::store_low_words(words, V::exclusive_or(x[0], once[0]));
    for (std::size_t i = done; i < count; ++i) out[i] = words[i - done];
  }

  Block polynomial(Block state, Block r, const Block* blocks, std::size_t count) const override {
    // The products of a group of vectors are added before one reduction.
    constexpr std::size_t kVectors = 8;
    constexpr std::size_t kGroup = kVectors * kBlocks;
    const __m128i power = load_block(&r);
    __m128i sum = load_block(&state);
    std::size_t at = 0;
    if (count >= kGroup) {
      Block powers[kGroup];  // r^kGroup … r
      __m128i last = power;
      for (std::size_t i = kGroup; i-- > 0; last = multiply_blocks(last, power))
        store_block(powers + i, last);
      const Factors<kVectors> factors(powers);
      for (; at + kGroup <= count; at += kGroup) sum = add_group(sum, factors, blocks + at);
    }
    for (; at < count; ++at) sum = multiply_blocks(_mm_xor_si128(sum, load_block(blocks + at)), power);
    Block result;
    store_block(&result, sum);
    return result;
  }

 private:
  /// Of kOutputs outputs of the code, as offsets in bytes: what the look-ups need, without a shift for each.
  template <std::size_t kOutputs>
  class Places {
   public:
    Places(const AesKey& key, std::uint64_t counter, std::uint32_t mask)
        : cipher_(key), next_(V::counters(counter)) {
      const std::uint64_t two = (std::uint64_t{mask} << 36) | (std::uint64_t{mask} << 4);
      const Block masks = {two, two};
      mask_ = V::broadcast(&masks);
      const Block blocks = {kBlocks, 0};
      step_ = V::broadcast(&blocks);
    }
    __attribute__((always_inline)) inline void draw(std::uint32_t* to) {
      for (std::size_t at = 0; at < kStreamBlocks; at += kAtOnce * kBlocks) {
        R x[kAtOnce];
        for (int z = 0; z < kAtOnce; ++z) {
          x[z] = next_;
          next_ = V::add(next_, step_);
        }
        cipher_.template permute<kAtOnce>(x);
        for (int z = 0; z < kAtOnce; ++z)
          V::store(reinterpret_cast<Block*>(to) + at + z * kBlocks, V::both(V::shifted_by_4(x[z]), mask_));
      }
    }

   private:
    static constexpr std::size_t kStreamBlocks = kOutputs * 10 / 4;
    static constexpr int kAtOnce = kStreamBlocks / kBlocks >= 10 ? 10 : kStreamBlocks / kBlocks;
    static_assert(kStreamBlocks % (kAtOnce * kBlocks) == 0);
    Cipher<V> cipher_;
    R next_;
    R mask_;
    R step_;
  };

  /// Powers of a group's vectors.
  template <std::size_t kVectors>
  struct Factors {
    R powers[kVectors];
    R halves[kVectors];
    explicit Factors(const Block* from) {
      for (std::size_t i = 0; i < kVectors; ++i) {
        powers[i] = V::load(from + i * kBlocks);
        halves[i] = added_halves<V>(powers[i]);
      }
    }
  };
  /// Σ factors·(blocks, the first of them ⊕ state) of a group.
  template <std::size_t kVectors>
  __attribute__((always_inline)) static inline __m128i add_group(__m128i state,
                                                                 const Factors<kVectors>& factors,
                                                                 const Block* blocks) {
    const R first = V::exclusive_or(V::load(blocks), V::first_block(state));
    Product<V> total = carry_less<V>(first, factors.powers[0], factors.halves[0]);
    for (std::size_t i = 1; i < kVectors; ++i)
      total ^= carry_less<V>(V::load(blocks + i * kBlocks), factors.powers[i], factors.halves[i]);
    const R middle = V::exclusive_or(total.middle, V::exclusive_or(total.low, total.high));
    return reduce(V::fold(total.low), V::fold(middle), V::fold(total.high));
  }
};
