"""Read where downloads come from out of the user's own pip and uv configuration.

Implements the order of precedence that pip (*Configuration*) and uv (*Configuration files*) document; where both say
the same thing, uv wins. Neither tool has to be installed.
"""

from __future__ import annotations

import configparser
import importlib
import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Callable, Mapping, Optional, Sequence
from urllib.parse import quote, urlsplit

from imagekit.fetch.settings import FetchSettings, HttpSettings, SettingsError

#: Where Linux distributions keep the bundle of trusted certificate authorities.
CA_BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
)
#: What git, ssh and curl read of the user's environment.
GIT_VARIABLES = (
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
    "SSH_AUTH_SOCK",
    "XDG_CONFIG_HOME",
)
TRUE_WORDS = ("1", "true", "yes", "on", "y", "t")


def discover(
    environ: Mapping[str, str],
    home: Path,
    system_root: Path = Path("/"),
    working_directory: Optional[Path] = None,
    default_index: Optional[Callable[[], str]] = None,
) -> FetchSettings:
    """The download settings of the user with this environment and home folder.

    Relative paths are relative to ``working_directory``, as pip has it. ``default_index`` says the index of somebody
    who configured none (default: what an installed pip says). Raises :class:`SettingsError`.
    """
    base = Path.cwd() if working_directory is None else working_directory
    places = _Places(environ, home, system_root, base)
    pip = _pip_options(places)
    uv = _uv_options(places)
    index_url: Optional[str]
    if uv.no_index if uv.no_index is not None else pip.flag("no-index"):
        index_url = None
        extra: tuple[str, ...] = ()
    else:
        index_url = uv.index_url or pip.text("index-url") or (default_index or installed_default_index)()
        extra = uv.extra_index_urls or pip.words("extra-index-url")
    proxy = pip.text("proxy")
    return FetchSettings(
        index_url=None if index_url is None else places.location(index_url),
        extra_index_urls=tuple(places.location(url) for url in extra),
        find_links=tuple(places.location(link) for link in uv.find_links or pip.words("find-links")),
        git_environment=_git_environment(environ, home),
        http=HttpSettings(
            ca_bundle=_ca_bundle(places, pip),
            client_certificate=places.optional_path(environ.get("SSL_CLIENT_CERT") or pip.text("client-cert")),
            trusted_hosts=tuple(dict.fromkeys(uv.insecure_hosts + pip.words("trusted-host"))),
            http_proxy=proxy or _environment(environ, "http_proxy", "all_proxy"),
            https_proxy=proxy or _environment(environ, "https_proxy", "all_proxy"),
            no_proxy=tuple(re.findall(r"[^\s,]+", _environment(environ, "no_proxy") or "")),
            timeout=_timeout(environ, pip),
            retries=_number("retries", pip.text("retries"), HttpSettings.retries),
            netrc=_netrc(places),
        ),
    )


def installed_default_index() -> str:
    """The index that pip uses when nothing is configured, as an installed pip says it.

    Looked up in pip itself, in the pip that pex carries, and in the one that the standard library carries. Raises
    :class:`SettingsError` when there is none.
    """
    for find in (_index_of_pip, _index_of_pex, _index_of_ensurepip):
        url = find()
        if url is not None:
            return url
    raise SettingsError(
        "No Python index is configured, and no installed pip tells the usual one. Set index-url in your pip "
        "configuration, or PIP_INDEX_URL."
    )


def _index_of_pip() -> Optional[str]:
    try:
        return _simple_url(importlib.import_module("pip._internal.models.index"))
    except ImportError:
        return None


def _index_of_pex() -> Optional[str]:
    spec = importlib.util.find_spec("pex")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        source = Path(location, "vendor", "_vendored", "pip", "pip", "_internal", "models", "index.py")
        if source.is_file():
            loader = SourceFileLoader("_pex_pip_index", str(source))
            module = ModuleType(loader.name)
            try:
                loader.exec_module(module)
            except ImportError:
                # Pex's pip imports its own modules by the name of pip, which pex alone can find.
                return None
            return _simple_url(module)
    return None


def _index_of_ensurepip() -> Optional[str]:
    import zipimport

    spec = importlib.util.find_spec("ensurepip")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        for wheel in sorted(Path(location, "_bundled").glob("pip-*.whl")):
            try:
                return _simple_url(zipimport.zipimporter(f"{wheel}/pip/_internal/models").load_module("index"))
            except zipimport.ZipImportError:
                continue
    return None


def _simple_url(module: ModuleType) -> Optional[str]:
    url = getattr(getattr(module, "PyPI", None), "simple_url", None)
    return url if isinstance(url, str) else None


@dataclass(frozen=True)
class _Places:
    environ: Mapping[str, str]
    home: Path
    system_root: Path
    working_directory: Path

    def user_config(self) -> Path:
        configured = self.environ.get("XDG_CONFIG_HOME")
        return Path(configured) if configured else self.home / ".config"

    def system_config(self) -> tuple[Path, ...]:
        """Folders of system-wide configuration, the strongest first."""
        configured = self.environ.get("XDG_CONFIG_DIRS")
        if configured:
            return tuple(Path(folder) for folder in configured.split(os.pathsep) if folder)
        return (self.system_root / "etc/xdg",)

    def path(self, text: str, base: Optional[Path] = None) -> str:
        if text == "~" or text.startswith("~/"):
            text = str(self.home) + text[1:]
        return os.path.normpath((self.working_directory if base is None else base) / text)

    def optional_path(self, text: Optional[str]) -> Optional[str]:
        return None if not text else self.path(text)

    def location(self, text: str, base: Optional[Path] = None) -> str:
        """``text`` if it is a URL, else the absolute path that it names."""
        return text if len(urlsplit(text).scheme) > 1 else self.path(text, base)


@dataclass(frozen=True)
class _PipOptions:
    """pip's options as text, the weakest source overwritten by stronger ones."""

    options: Mapping[str, str]

    def text(self, name: str) -> Optional[str]:
        return self.options.get(name) or None

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(self.options.get(name, "").split())

    def flag(self, name: str) -> bool:
        return self.options.get(name, "").lower() in TRUE_WORDS


def _pip_options(places: _Places) -> _PipOptions:
    options: dict[str, str] = {}
    for path in _pip_files(places):
        options.update(_pip_file_options(path))
    for name, value in places.environ.items():
        # pip reads an empty variable as one that is not set.
        if name.startswith("PIP_") and value:
            options[name[len("PIP_") :].lower().replace("_", "-")] = value
    return _PipOptions(options)


def _pip_files(places: _Places) -> tuple[Path, ...]:
    explicit = places.environ.get("PIP_CONFIG_FILE")
    if explicit == os.devnull:
        return ()
    files = [folder / "pip/pip.conf" for folder in reversed(places.system_config())]
    files.append(places.system_root / "etc/pip.conf")
    files.append(places.home / ".pip/pip.conf")
    files.append(places.user_config() / "pip/pip.conf")
    if places.environ.get("VIRTUAL_ENV"):
        files.append(Path(places.environ["VIRTUAL_ENV"], "pip.conf"))
    if explicit:
        files.append(Path(explicit))
    return tuple(files)


def _pip_file_options(path: Path) -> Mapping[str, str]:
    parser = configparser.RawConfigParser()
    try:
        if not path.is_file():
            return {}
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        message = str(error).replace("\n", " ")
        raise SettingsError(f"The pip configuration {path} cannot be read: {message}. Mend it or remove it.") from None
    options: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            options.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    return options


@dataclass(frozen=True)
class _UvOptions:
    index_url: Optional[str]
    extra_index_urls: tuple[str, ...]
    find_links: tuple[str, ...]
    insecure_hosts: tuple[str, ...]
    no_index: Optional[bool]


def _uv_options(places: _Places) -> _UvOptions:
    environ = places.environ
    files = [_uv_file_options(places, path) for path in _uv_files(places)]
    named = [_split_named_index(word) for word in environ.get("UV_INDEX", "").split()]
    extra = tuple(_with_uv_credentials(environ, name, url) for name, url in named)
    extra += tuple(environ.get("UV_EXTRA_INDEX_URL", "").split())
    default_name, default_url = _split_named_index(environ.get("UV_DEFAULT_INDEX", ""))
    index_url = _with_uv_credentials(environ, default_name, default_url) or environ.get("UV_INDEX_URL") or None
    links = tuple(link for link in re.split(r"[,\s]+", environ.get("UV_FIND_LINKS", "")) if link)
    hosts = tuple(environ.get("UV_INSECURE_HOST", "").split())
    no_index = environ["UV_NO_INDEX"].lower() in TRUE_WORDS if environ.get("UV_NO_INDEX") else None
    for options in files:
        index_url = index_url or options.index_url
        no_index = options.no_index if no_index is None else no_index
        extra += options.extra_index_urls
        links += options.find_links
        hosts += options.insecure_hosts
    return _UvOptions(index_url, extra, links, hosts, no_index)


def _uv_files(places: _Places) -> tuple[Path, ...]:
    """uv's configuration files, the strongest first."""
    if places.environ.get("UV_NO_CONFIG", "").lower() in TRUE_WORDS:
        return ()
    explicit = places.environ.get("UV_CONFIG_FILE")
    if explicit:
        return (Path(explicit),)
    system = [folder / "uv/uv.toml" for folder in places.system_config()] + [places.system_root / "etc/uv/uv.toml"]
    return (places.user_config() / "uv/uv.toml", *[path for path in system if path.is_file()][:1])


def _uv_file_options(places: _Places, path: Path) -> _UvOptions:
    if not path.is_file():
        return _UvOptions(None, (), (), (), None)
    document = _Toml(_parse_toml(path), path)
    pip = document.table("pip")
    index_url = document.text("index-url") or pip.text("index-url")
    extra: tuple[str, ...] = ()
    for index in document.tables("index"):
        if index.flag("explicit"):
            continue
        url = places.location(index.text("url") or "", path.parent)
        url = _with_uv_credentials(places.environ, index.text("name") or "", url)
        if index.flag("default"):
            index_url = url
        else:
            extra += (url,)
    extra += document.texts("extra-index-url") + pip.texts("extra-index-url")
    links = document.texts("find-links") + pip.texts("find-links")
    no_index = document.flag("no-index")
    return _UvOptions(
        index_url=index_url,
        extra_index_urls=tuple(places.location(url, path.parent) for url in extra),
        find_links=tuple(places.location(link, path.parent) for link in links),
        insecure_hosts=document.texts("allow-insecure-host"),
        no_index=pip.flag("no-index") if no_index is None else no_index,
    )


@dataclass(frozen=True)
class _Toml:
    """A table of a TOML file, read with the type that is wanted or refused."""

    fields: Mapping[str, object]
    path: Path

    def text(self, key: str) -> Optional[str]:
        value = self.fields.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.fields.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of strings")
        return tuple(value)

    def flag(self, key: str) -> Optional[bool]:
        value = self.fields.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def table(self, key: str) -> _Toml:
        value = self.fields.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "a table")
        return _Toml(value, self.path)

    def tables(self, key: str) -> tuple[_Toml, ...]:
        value = self.fields.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(key, "a list of tables")
        return tuple(_Toml(item, self.path) for item in value)

    def _wrong(self, key: str, expected: str) -> SettingsError:
        return SettingsError(f"The uv configuration {self.path}: '{key}' must be {expected}.")


def _parse_toml(path: Path) -> Mapping[str, object]:
    for name in ("tomllib", "tomli", "toml"):
        try:
            parser = importlib.import_module(name)
        except ImportError:
            continue
        try:
            document: Mapping[str, object] = parser.loads(path.read_text(encoding="utf-8"))
            return document
        except (OSError, ValueError) as error:
            raise SettingsError(f"The uv configuration {path} cannot be read: {error}. Mend it or remove it.") from None
    raise SettingsError(
        f"The uv configuration {path} cannot be read with {sys.executable}: it has no TOML parser. Install 'tomli' "
        "there, or set UV_NO_CONFIG=1 and name your indexes with UV_DEFAULT_INDEX and UV_INDEX."
    )


def _split_named_index(text: str) -> tuple[str, str]:
    """``name=url`` or ``url`` as (name, url); a URL may hold ``=`` itself, but not before its scheme."""
    match = re.match(r"([A-Za-z0-9._-]+)=(.*)", text.strip())
    return (match.group(1), match.group(2)) if match else ("", text.strip())


def _with_uv_credentials(environ: Mapping[str, str], name: str, url: str) -> str:
    parts = urlsplit(url)
    key = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    user, password = environ.get(f"{key}_USERNAME"), environ.get(f"{key}_PASSWORD")
    if not name or (user is None and password is None) or "@" in parts.netloc:
        return url
    credentials = f"{quote(user or '', safe='')}:{quote(password or '', safe='')}"
    return parts._replace(netloc=f"{credentials}@{parts.netloc}").geturl()


def _environment(environ: Mapping[str, str], *names: str) -> Optional[str]:
    for name in names:
        value = environ.get(name) or environ.get(name.upper())
        if value:
            return value
    return None


def _ca_bundle(places: _Places, pip: _PipOptions) -> Optional[str]:
    environ = places.environ
    said = (
        environ.get("SSL_CERT_FILE")
        or pip.text("cert")
        or environ.get("REQUESTS_CA_BUNDLE")
        or environ.get("CURL_CA_BUNDLE")
    )
    if said:
        return places.path(said)
    bundles: Sequence[Path] = [places.system_root / bundle for bundle in CA_BUNDLES]
    # An interpreter that was not built by the distribution may look for certificates where there are none.
    return next((str(bundle) for bundle in bundles if bundle.is_file()), None)


def _timeout(environ: Mapping[str, str], pip: _PipOptions) -> int:
    said = environ.get("UV_HTTP_TIMEOUT") or pip.text("default-timeout") or pip.text("timeout")
    return _number("timeout", said, HttpSettings.timeout)


def _number(name: str, text: Optional[str], default: int) -> int:
    if text is None:
        return default
    try:
        return int(float(text))
    except ValueError:
        raise SettingsError(f"The pip or uv setting '{name}' must be a number, but was '{text}'.") from None


def _netrc(places: _Places) -> Optional[str]:
    said = places.environ.get("NETRC")
    path = Path(said) if said else places.home / ".netrc"
    return str(path) if path.is_file() else None


def _git_environment(environ: Mapping[str, str], home: Path) -> tuple[tuple[str, str], ...]:
    found = {name: environ[name] for name in GIT_VARIABLES if environ.get(name)}
    return tuple(sorted({**found, "HOME": str(home)}.items()))
