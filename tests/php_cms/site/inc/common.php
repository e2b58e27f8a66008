<?php
// BlueCMS 2.1 (c) 2012
date_default_timezone_set('Europe/Berlin');
session_start();

class Basket
{
    public $items = array();
    protected $currency = 'EUR';
    private $total = 0.0;

    function add($name, $price)
    {
        $this->items[] = array('name' => $name, 'price' => $price);
        $this->total += $price;
    }
}

function db()
{
    static $db = null;
    if ($db === null) {
        $config = parse_ini_file(getenv('CMS_CONFIG'));
        $db = new PDO($config['dsn'], $config['user'], $config['password']);
        $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
        $db->exec("SET SESSION sql_mode = ''");
    }
    return $db;
}

function query($sql, $values = array())
{
    $q = db()->prepare($sql);
    $q->execute($values);
    return $q;
}

function current_user_id()
{
    return isset($_SESSION['user']['id']) ? (int) $_SESSION['user']['id'] : 0;
}

function is_admin()
{
    return !empty($_SESSION['user']['admin']);
}

// Old rows are serialized, newer ones JSON.
function unpack_text($text)
{
    if ($text === null || $text === '') return array();
    $data = json_decode($text, true);
    if ($data === null) $data = @unserialize($text);
    return is_array($data) ? $data : array();
}

function answer($key, $data)
{
    echo json_encode(array('success' => true, $key => $data));
    exit;
}

function fail($message)
{
    echo json_encode(array('success' => false, 'error' => $message));
    exit;
}
