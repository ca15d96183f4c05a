# Varnish in front of Deckle, with purging by tag. Start Deckle with --cache-tags and Varnish's address in --trusted-proxies.
# docs/cdn.md says why each line is there.
vcl 4.1;

backend deckle {
  .host = "127.0.0.1";
  .port = "8080";
  .first_byte_timeout = 35s; # --timeout and a little
  .probe = {.url = "/_health"; .interval = 2s; .timeout = 1s; .window = 5; .threshold = 3; .initial = 3;}
}

# Who may purge.
acl purgers {
  "127.0.0.1";
  "::1";
}

sub vcl_recv {
  if (req.method == "BAN") {
    if (client.ip !~ purgers) {
      return (synth(403));
    }
    # A tag as it stands in Surrogate-Key: an id, or a folder with a slash behind it.
    if (req.http.X-Tag !~ "^[A-Za-z0-9._~%/-]+$") {
      return (synth(400, "X-Tag names no tag"));
    }
    ban("obj.http.Surrogate-Key ~ (^|\s)" + regsuball(req.http.X-Tag, "\.", "\\.") + "(\s|$)");
    return (synth(200, "Purged"));
  }
  unset req.http.Cookie;
  # What viewers accept comes down to four classes where the answer depends on it, and to none elsewhere.
  if (req.url ~ "(?i)^[^?]*\.auto(\?|$)" || req.url ~ "[?&]allow_webp=true(&|$)") {
    if (req.http.Accept ~ "(?i)image/avif" && req.http.Accept ~ "(?i)image/webp") {
      set req.http.Accept = "image/avif,image/webp";
    } elsif (req.http.Accept ~ "(?i)image/avif") {
      set req.http.Accept = "image/avif";
    } elsif (req.http.Accept ~ "(?i)image/webp") {
      set req.http.Accept = "image/webp";
    } else {
      unset req.http.Accept;
    }
  } else {
    unset req.http.Accept;
  }
}

sub vcl_backend_response {
  # How long an answer may be used late is read from stale-while-revalidate. After that it is asked for again by its ETag.
  if (beresp.status == 200) {
    set beresp.keep = 24h;
  }
}

sub vcl_deliver {
  unset resp.http.Surrogate-Key;
  unset resp.http.Cache-Tag;
  unset resp.http.CDN-Cache-Control;
  if (obj.hits > 0) {
    set resp.http.X-Cache = "HIT";
  } else {
    set resp.http.X-Cache = "MISS";
  }
}
