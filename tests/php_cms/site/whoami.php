<?php
require 'inc/common.php';

if (!current_user_id()) {
    echo 'nobody';
    exit;
}
echo current_user_id() . ' ' . htmlspecialchars($_SESSION['user']['name']);
