<?php
// Signs Deckle's URLs in PHP 8. Copy it.

/**
 * Returns the query parameters that sign a path, decoded and beginning with a slash, until $expires (Unix seconds).
 * With a scope, such as /cat for /cat_300_200.webp, the same parameters serve all that it covers.
 */
function sign(string $secret, string $method, string $path, int $expires, string $scope = ''): string
{
    $signed = $scope === '' ? $path : $scope;
    $mac = hash_hmac('sha256', "$method\n$signed\n$expires", $secret, true);
    $signature = rtrim(strtr(base64_encode($mac), '+/', '-_'), '=');
    $extra = $scope === '' ? '' : '&X-Path=' . rawurlencode($scope);
    return "X-Expires=$expires$extra&X-Signature=$signature";
}

// php sign.php SECRET METHOD PATH EXPIRES [SCOPE]
if (PHP_SAPI === 'cli' && realpath($argv[0]) === __FILE__) {
    echo sign($argv[1], $argv[2], $argv[3], (int) $argv[4], $argv[5] ?? ''), "\n";
}
