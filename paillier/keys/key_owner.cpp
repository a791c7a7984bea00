#include "paillier/keys/key_owner.h"

#include <gmp.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "base/secret.h"
#include "paillier/big_integer.h"
#include "paillier/evaluator.h"
#include "paillier/kernels/kernel_registry.h"
#include "paillier/kernels/modulus.h"
#include "paillier/keys/key_owner_half.h"
#include "paillier/keys/wire_integers.h"
#include "paillier/once_pool.h"
#include "paillier/secret_mpz.h"

namespace popcorn::paillier {

using kernels::GroupBuffer;
using kernels::kMaxGroupWords;
using kernels::kMaxLanes;
using kernels::Modulus;

namespace {

constexpr std::size_t kGrain = 8;
constexpr std::size_t kMaxPrimeLimbs = 32;  // 4096-bit keys
constexpr std::size_t kMaxLimbs = 2 * kMaxPrimeLimbs;
constexpr std::size_t kScratch = 1024;  // limbs; more than any mpn_sec_*_itch at these sizes

using Group = std::array<std::uint64_t, kMaxGroupWords>;
using Limbs = std::vector<std::uint64_t>;

/// Working memory of one task, wiped at its end.
struct Scratch {
  std::array<mp_limb_t, 4 * kMaxLimbs> product;
  std::array<mp_limb_t, kScratch> area;
  ~Scratch() { OPENSSL_cleanse(this, sizeof *this); }
};

mp_size_t as_size(std::size_t limbs) {
  return static_cast<mp_size_t>(limbs);
}

void wipe(Limbs& limbs) {
  OPENSSL_cleanse(limbs.data(), limbs.size() * sizeof(std::uint64_t));
}

/// For the constant-time test.
void mark_secret([[maybe_unused]] const Limbs& limbs) {
  POPCORN_SECRET_BYTES(limbs.data(), limbs.size() * sizeof(std::uint64_t));
}
void mark_secret([[maybe_unused]] const GroupBuffer& buffer) {
  POPCORN_SECRET_BYTES(buffer.data(), buffer.size() * sizeof(std::uint64_t));
}
/// All that is kept of p; the tables and the exponent mark themselves.
void mark_secret(const KeyOwnerHalf& half) {
  [[maybe_unused]] const kernels::ModulusView& view = half.modulus->view();
  [[maybe_unused]] const std::size_t digit_bytes = view.words * half.modulus->lanes() * sizeof(std::uint64_t);
  for ([[maybe_unused]] const std::uint64_t* digits : {view.base, view.twice, view.complement})
    POPCORN_SECRET_BYTES(digits, digit_bytes);
  POPCORN_SECRET_BYTES(&view.inverse, sizeof view.inverse);
  for ([[maybe_unused]] const std::uint64_t* constant :
       {half.modulus->one(), half.modulus->to_residue(), half.modulus->from_residue()})
    POPCORN_SECRET_BYTES(constant, 2 * digit_bytes);
  mark_secret(half.prime);
  mark_secret(half.scale);
  for (const GroupBuffer& part : half.plaintext_parts) mark_secret(part);
  for (const GroupBuffer& part : half.ciphertext_parts) mark_secret(part);
}

}  // namespace

struct KeyOwner::Parts {
  explicit Parts(PrivateKey private_key) : key(std::move(private_key)) {}
  ~Parts() {
    for (KeyOwnerHalf* half : {&p, &q}) wipe(half->prime);
    wipe(q_squared);
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  PrivateKey key;
  Rng* rng = nullptr;
  std::size_t limbs = 0;  ///< of N
  Limbs n;
  Limbs half_n;  ///< (N − 1)/2
  Limbs n_squared;
  KeyOwnerHalf p;
  KeyOwnerHalf q;
  Limbs q_squared;
  std::array<GroupBuffer, 2>
      garner_parts;  ///< c_i ↦ residue of −c_i·2^(|p|·i)·q⁻² mod p², for the halves of c_q
  GroupBuffer q_squared_inverse;  ///< residue of q⁻² mod p²
  GroupBuffer minus_q_inverse;    ///< residue of −q⁻¹ mod p

  /// ρ of a group of encryptions, modulo p² and q².
  struct Randomness {
    GroupBuffer p, q;
  };
  OncePool<Randomness> prepared;

  /// Fresh ρ of `groups` groups.
  void draw_randomness(std::uint64_t* rho_p, std::uint64_t* rho_q, std::size_t groups) const;
  void encrypt_groups(const WideVector& values, std::size_t begin, std::size_t end, std::uint8_t* out);
  bool decrypt_group(const std::uint8_t* wire, std::size_t present, std::size_t first, WideVector& values,
                     Representative representative, bool& too_large, Scratch& scratch) const;
  bool load_plaintexts(const WideVector& values, std::size_t g, std::uint64_t* target) const;
  GroupBuffer logarithm(const KeyOwnerHalf& half, const std::uint64_t* numbers, std::uint8_t* valid) const;
  Limbs garner_digits(const GroupBuffer& m_p, const Limbs& m_q) const;
  void combine(const mp_limb_t* t, const mp_limb_t* m_q, mp_limb_t* m, Scratch& scratch) const;
  void centre(mp_limb_t* m, Scratch& scratch) const;
};

KeyOwner::KeyOwner(PrivateKey key, Rng& rng, const kernels::Kernel* kernel)
    : parts_(std::make_unique<Parts>(std::move(key))) {
  Parts& parts = *parts_;
  parts.rng = &rng;
  const PublicKey& public_key = parts.key.public_key();
  parts.limbs = public_key.bits() / 64;
  const SecretMpz p(parts.key.p());
  const SecretMpz q(parts.key.q());
  BigInteger n(public_key.modulus());
  BigInteger n_squared;
  mpz_mul(n_squared.get(), n.get(), n.get());
  parts.n = n.limbs(parts.limbs);
  parts.n_squared = n_squared.limbs(2 * parts.limbs);
  BigInteger half;
  mpz_fdiv_q_2exp(half.get(), n.get(), 1);
  parts.half_n = half.limbs(parts.limbs);

  // h_N = h^N mod N² with h = −x² mod N [DJN10, sec 4.2], or the subgroup key's own h.
  BigInteger h;
  if (public_key.kind() == KeyKind::subgroup) {
    h.set_bytes(public_key.generator());
  } else {
    BigInteger x;
    BigInteger gcd;
    do {
      x.set_random_below(n, rng);
      mpz_gcd(gcd.get(), x.get(), n.get());
    } while (mpz_cmp_ui(gcd.get(), 1) != 0 || mpz_cmp_ui(x.get(), 1) <= 0);
    mpz_mul(h.get(), x.get(), x.get());
    mpz_neg(h.get(), h.get());
    mpz_mod(h.get(), h.get(), n.get());
  }
  mpz_powm(h.get(), h.get(), n.get(), n_squared.get());
  const std::size_t randomness_bits = public_key.kind() == KeyKind::subgroup
                                          ? 2 * subgroup_order_bits(public_key.bits())
                                          : public_key.bits() / 2;
  const SecretMpz p_order(parts.key.p_order());
  const SecretMpz q_order(parts.key.q_order());
  const kernels::Kernel& used = kernel != nullptr ? *kernel : kernels::active();
  SecretMpz inverse;
  mpz_invert(inverse, q, p);
  parts.p = make_half(used, p, p_order, n.get(), h.get(), inverse, parts.limbs, randomness_bits);
  mpz_sub(inverse, p, inverse);
  parts.minus_q_inverse = parts.p.modulus->constant(inverse);
  SecretMpz one;
  mpz_set_ui(one, 1);
  parts.q = make_half(used, q, q_order, n.get(), h.get(), one, parts.limbs, randomness_bits);

  SecretMpz p_squared;
  SecretMpz q_squared;
  mpz_mul(p_squared, p, p);
  mpz_mul(q_squared, q, q);
  parts.q_squared = limbs_of(q_squared, parts.limbs);
  mpz_invert(inverse, q_squared, p_squared);
  parts.q_squared_inverse = parts.p.modulus->constant(inverse);
  mpz_neg(inverse, inverse);
  for (std::size_t i = 0; i < parts.garner_parts.size(); ++i) {
    SecretMpz shifted;
    mpz_mul_2exp(shifted, inverse, 32 * parts.limbs * i);
    mpz_mod(shifted, shifted, p_squared);
    parts.garner_parts[i] = part_factor(*parts.p.modulus, shifted);
  }
  mark_secret(parts.p);
  mark_secret(parts.q);
  mark_secret(parts.q_squared);
  mark_secret(parts.q_squared_inverse);
  mark_secret(parts.minus_q_inverse);
  for (const GroupBuffer& part : parts.garner_parts) mark_secret(part);
}

KeyOwner::~KeyOwner() = default;

const PublicKey& KeyOwner::public_key() const noexcept {
  return parts_->key.public_key();
}

const PrivateKey& KeyOwner::private_key() const noexcept {
  return parts_->key;
}

/// m mod N of the plaintexts of group g, by mask; false when one is out of range.
bool KeyOwner::Parts::load_plaintexts(const WideVector& values, std::size_t g, std::uint64_t* target) const {
  const std::size_t lanes = p.modulus->lanes();
  std::uint64_t foreign = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    std::uint64_t* const value = target + lane * limbs;
    const std::size_t i = g * lanes + lane;
    if (i >= values.size()) {
      std::fill_n(value, limbs, 0);
      continue;
    }
    const auto words = values[i];
    const std::uint64_t sign = 0 - (words.back() >> 63);
    for (std::size_t k = 0; k < limbs; ++k) value[k] = k < words.size() ? words[k] : sign;
    for (std::size_t k = limbs; k < words.size(); ++k) foreign |= words[k] ^ sign;
    foreign |= (value[limbs - 1] ^ sign) >> 62;
    mpn_cnd_add_n(sign & 1, value, value, n.data(), as_size(limbs));
  }
  const bool fits = foreign == 0;
  POPCORN_DECLASSIFY(
      fits);  // the caller may know: false is a mistake of its own and ends encrypt() with an Error
  return fits;
}

void KeyOwner::Parts::draw_randomness(std::uint64_t* rho_p, std::uint64_t* rho_q, std::size_t groups) const {
  Limbs exponents(groups * p.modulus->lanes() * p.generator->exponent_limbs());
  random_exponents(exponents, p.generator->exponent_bits(), *rng);
  p.generator->power(rho_p, exponents.data(), groups);
  q.generator->power(rho_q, exponents.data(), groups);
  wipe(exponents);
}

void KeyOwner::Parts::encrypt_groups(const WideVector& values, std::size_t begin, std::size_t end,
                                     std::uint8_t* out) {
  const std::size_t lanes = p.modulus->lanes();
  const std::size_t group = p.modulus->group_words();
  const std::size_t width = key.public_key().ciphertext_bytes();
  const std::size_t groups = end - begin;
  GroupBuffer c_p(groups * group, true);
  GroupBuffer c_q(groups * group, true);
  const std::vector<Randomness> ready = prepared.take(groups);
  for (std::size_t g = 0; g < ready.size(); ++g) {
    std::copy_n(ready[g].p.data(), group, c_p.data() + g * group);
    std::copy_n(ready[g].q.data(), group, c_q.data() + g * group);
  }
  if (ready.size() < groups) {
    draw_randomness(c_p.data() + ready.size() * group, c_q.data() + ready.size() * group,
                    groups - ready.size());
  }

  Limbs plaintexts(lanes * limbs);
  Limbs low(lanes * limbs);   // c_q, then the result's low part
  Limbs high(lanes * limbs);  // (c_p − c_q)·q⁻² mod p²
  GroupBuffer factor(group, true);
  Scratch scratch;
  for (std::size_t g = 0; g < groups; ++g) {
    load_plaintexts(values, begin + g, plaintexts.data());
    for (const auto& [half, residues] :
         {std::pair(&p, c_p.data() + g * group), std::pair(&q, c_q.data() + g * group)}) {
      const Modulus& modulus = *half->modulus;
      import_pieces(modulus, factor.data(), plaintexts.data(), half->plaintext_parts, true);  // m·N
      modulus.add(factor.data(), factor.data(), modulus.one());
      modulus.multiply_secret(residues, residues, factor.data());
    }
    // Garner: c = c_q + q²·((c_p − c_q)·q⁻² mod p²).
    q.modulus->export_numbers(low.data(), c_q.data() + g * group);
    import_pieces(*p.modulus, factor.data(), low.data(), garner_parts, false);
    std::uint64_t* const residue_p = c_p.data() + g * group;
    p.modulus->multiply_secret(residue_p, residue_p, q_squared_inverse.data());
    p.modulus->add(factor.data(), factor.data(), residue_p);
    p.modulus->export_numbers(high.data(), factor.data());
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const std::size_t i = (begin + g) * lanes + lane;
      if (i >= values.size()) break;
      mp_limb_t* const c = scratch.product.data();
      mpn_sec_mul(c, high.data() + lane * limbs, as_size(limbs), q_squared.data(), as_size(limbs),
                  scratch.area.data());
      const mp_limb_t carry = mpn_add_n(c, c, low.data() + lane * limbs, as_size(limbs));
      mpn_sec_add_1(c + limbs, c + limbs, as_size(limbs), carry, scratch.area.data());
      limbs_to_big_endian(out + i * width, c, 2 * limbs);
    }
  }
  wipe(plaintexts);
  wipe(low);
  wipe(high);
}

void KeyOwner::prepare(std::size_t count) const {
  Parts& parts = *parts_;
  const std::size_t lanes = parts.p.modulus->lanes();
  const std::size_t group = parts.p.modulus->group_words();
  parallel_ranges((count + lanes - 1) / lanes, kGrain, [&](std::size_t begin, std::size_t end) {
    GroupBuffer rho_p((end - begin) * group, true);
    GroupBuffer rho_q((end - begin) * group, true);
    parts.draw_randomness(rho_p.data(), rho_q.data(), end - begin);
    std::vector<Parts::Randomness> made;
    for (std::size_t g = 0; g < end - begin; ++g) {
      Parts::Randomness& one =
          made.emplace_back(Parts::Randomness{GroupBuffer(group, true), GroupBuffer(group, true)});
      std::copy_n(rho_p.data() + g * group, group, one.p.data());
      std::copy_n(rho_q.data() + g * group, group, one.q.data());
    }
    parts.prepared.put(std::move(made));
  });
}

std::size_t KeyOwner::prepared() const {
  return parts_->prepared.size() * parts_->p.modulus->lanes();
}

void KeyOwner::encrypt(const WideVector& values, Bytes& out) const {
  Parts& parts = *parts_;
  const std::size_t lanes = parts.p.modulus->lanes();
  const std::size_t groups = (values.size() + lanes - 1) / lanes;
  Limbs probe(lanes * parts.limbs);
  bool in_range = true;
  for (std::size_t g = 0; g < groups; ++g)
    in_range = parts.load_plaintexts(values, g, probe.data()) && in_range;
  wipe(probe);
  if (!in_range) throw Error("plaintext.too_large", "a plaintext exceeds the plaintext space of the key");
  const std::size_t start = out.size();
  out.resize(start + values.size() * public_key().ciphertext_bytes());
  parallel_ranges(groups, kGrain, [&](std::size_t begin, std::size_t end) {
    parts.encrypt_groups(values, begin, end, out.data() + start);
  });
  POPCORN_DECLASSIFY_BYTES(out.data() + start, out.size() - start);  // ciphertexts are sent
  encryptions_ += values.size();
}

/// The numbers (not residues) L_p(c^e mod p²)·scale mod p: the plaintexts modulo p [Paillier99, sec 7], times
/// what `scale` holds beside. valid[lane] &= 1 when c^e ≡ 1 mod p, as for every ciphertext of this key.
GroupBuffer KeyOwner::Parts::logarithm(const KeyOwnerHalf& half, const std::uint64_t* numbers,
                                       std::uint8_t* valid) const {
  const Modulus& modulus = *half.modulus;
  GroupBuffer residue(modulus.group_words(), true);
  GroupBuffer result(modulus.group_words(), true);
  import_pieces(modulus, residue.data(), numbers, half.ciphertext_parts, false);
  half.logarithm->apply(result.data(), residue.data(), valid);
  modulus.multiply_secret(result.data(), result.data(), half.scale.data());
  return result;
}

/// Per lane (m_p − m_q)·q⁻¹ mod p in the first half of N's limbs, for m_p·q⁻¹ as logarithm() gives it and
/// m_q as export_digits() does.
Limbs KeyOwner::Parts::garner_digits(const GroupBuffer& m_p, const Limbs& m_q) const {
  const Modulus& modulus = *p.modulus;
  const std::size_t prime_limbs = limbs / 2;
  Limbs digits = m_q;
  for (std::size_t lane = 0; lane < modulus.lanes(); ++lane) {
    std::fill_n(digits.begin() + static_cast<std::ptrdiff_t>(lane * limbs + prime_limbs), prime_limbs, 0);
  }
  GroupBuffer t(modulus.group_words(), true);
  modulus.load(t.data(), digits.data());  // q < 2p, since both have the same length
  modulus.multiply_secret(t.data(), t.data(), minus_q_inverse.data());
  modulus.add(t.data(), t.data(), m_p.data());
  modulus.store_digits(digits.data(), t.data());
  return digits;
}

/// m = m_q + q·t with t = (m_p − m_q)·q⁻¹ mod p, in [0, N).
void KeyOwner::Parts::combine(const mp_limb_t* t, const mp_limb_t* m_q, mp_limb_t* m,
                              Scratch& scratch) const {
  const std::size_t prime_limbs = limbs / 2;
  mpn_sec_mul(m, t, as_size(prime_limbs), q.prime.data(), as_size(prime_limbs), scratch.area.data());
  const mp_limb_t low_carry = mpn_add_n(m, m, m_q, as_size(prime_limbs));
  mpn_sec_add_1(m + prime_limbs, m + prime_limbs, as_size(prime_limbs), low_carry, scratch.area.data());
}

/// m to (−N/2, N/2).
void KeyOwner::Parts::centre(mp_limb_t* m, Scratch& scratch) const {
  // m > (N − 1)/2 means a negative plaintext.
  const mp_limb_t negative = mpn_sub_n(scratch.product.data(), half_n.data(), m, as_size(limbs));
  mpn_cnd_sub_n(negative, m, m, n.data(), as_size(limbs));
}

bool KeyOwner::Parts::decrypt_group(const std::uint8_t* wire, std::size_t present, std::size_t first,
                                    WideVector& values, Representative representative, bool& too_large,
                                    Scratch& scratch) const {
  const std::size_t lanes = p.modulus->lanes();
  const std::size_t width = key.public_key().ciphertext_bytes();
  Limbs numbers(lanes * 2 * limbs);
  std::array<std::uint8_t, kMaxLanes> valid{};
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    valid[lane] = 1;
    std::uint64_t* const c = numbers.data() + lane * 2 * limbs;
    if (lane < present) {
      limbs_from_big_endian(c, 2 * limbs, wire + lane * width);
      if (mpn_cmp(c, n_squared.data(), as_size(2 * limbs)) >= 0) return false;
    } else {
      c[0] = 1;
    }
  }
  const GroupBuffer m_p = logarithm(p, numbers.data(), valid.data());
  Limbs m_q(lanes * limbs);
  q.modulus->store_digits(m_q.data(), logarithm(q, numbers.data(), valid.data()).data());
  Limbs t = garner_digits(m_p, m_q);
  // Whether a ciphertext belongs to Z*_{N²} is public: gcd(c, N) tells it without the key. For a subgroup key
  // it is whether it has the subgroup's order: so for all that an honest sender made, else told by an
  // InputError.
  POPCORN_DECLASSIFY(valid);
  std::uint64_t foreign = 0;
  bool all_valid = true;
  Limbs m(limbs);
  for (std::size_t lane = 0; lane < present; ++lane) {
    all_valid = all_valid && valid[lane] != 0;
    combine(t.data() + lane * limbs, m_q.data() + lane * limbs, m.data(), scratch);
    const auto target = values[first + lane];
    const bool centred = representative == Representative::centred;
    if (centred) centre(m.data(), scratch);
    const std::uint64_t sign = centred ? 0 - (m.back() >> 63) : 0;
    for (std::size_t k = 0; k < target.size(); ++k) target[k] = k < limbs ? m[k] : sign;
    const std::uint64_t target_sign = 0 - (target.back() >> 63);
    foreign |= sign ^ target_sign;
    for (std::size_t k = target.size(); k < limbs; ++k) foreign |= m[k] ^ sign;
  }
  const bool fits = foreign == 0;
  POPCORN_DECLASSIFY(
      fits);  // false for no plaintext that an honest sender made, and then told by an InputError
  too_large = too_large || !fits;
  for (Limbs* limbs_used : {&t, &m_q, &m}) wipe(*limbs_used);
  return all_valid;
}

WideVector KeyOwner::decrypt(ByteView ciphertexts, std::size_t count, std::size_t limbs) const {
  return decrypt_as(ciphertexts, count, limbs, Representative::centred);
}

WideVector KeyOwner::decrypt_residues(ByteView ciphertexts, std::size_t count) const {
  return decrypt_as(ciphertexts, count, residue_limbs(public_key().bits()), Representative::residue);
}

WideVector KeyOwner::decrypt_as(ByteView ciphertexts, std::size_t count, std::size_t limbs,
                                Representative representative) const {
  const Parts& parts = *parts_;
  const std::size_t width = public_key().ciphertext_bytes();
  if (ciphertexts.size() != count * width) {
    throw InputError("ciphertext.length", "expected " + std::to_string(count) + " ciphertexts of " +
                                              std::to_string(width) + " bytes, got " +
                                              std::to_string(ciphertexts.size()) + " bytes");
  }
  WideVector values(count, limbs);
  const std::size_t lanes = parts.p.modulus->lanes();
  std::atomic<bool> invalid{false};
  std::atomic<bool> too_large{false};
  parallel_ranges((count + lanes - 1) / lanes, 1, [&](std::size_t begin, std::size_t end) {
    const auto scratch = std::make_unique<Scratch>();
    for (std::size_t g = begin; g < end; ++g) {
      const std::size_t first = g * lanes;
      bool overflow = false;
      if (!parts.decrypt_group(ciphertexts.data() + first * width, std::min(lanes, count - first), first,
                               values, representative, overflow, *scratch)) {
        invalid = true;
      }
      if (overflow) too_large = true;
    }
  });
  if (invalid) {
    throw InputError("ciphertext.invalid",
                     "a ciphertext was not made for this key, or was damaged on the way");
  }
  if (too_large) {
    throw InputError("plaintext.too_large",
                     "a decrypted value exceeds the " + std::to_string(64 * limbs) + " bits expected");
  }
  decryptions_ += count;
  return values;
}

}  // namespace popcorn::paillier
