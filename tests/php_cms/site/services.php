<?php
require 'inc/common.php';

header('Content-Type: text/html; charset=utf-8');

// The new frontend posts JSON.
$json = json_decode(file_get_contents('php://input'), true);
if (is_array($json)) $_REQUEST = array_merge($_REQUEST, $json);

if (!current_user_id()) fail('Please log in');

function param($name, $default = '')
{
    return isset($_REQUEST[$name]) ? $_REQUEST[$name] : $default;
}

function service_row($row)
{
    return array(
        'id' => (int) $row['id'],
        'serviceId' => (int) $row['id'],
        'name' => $row['name'],
        'desc' => (string) $row['descr'],
        'icon' => $row['icon'] != '' ? $row['icon'] : 'construct-outline',
        'status' => $row['status'],
        'type' => $row['svc_type'],
        'project_name' => $row['title'],
        'endpoints' => array_values(unpack_text($row['endpoints'])),
        'depends' => array_map('intval', array_filter(explode(',', (string) $row['depends_on']))),
        'config' => unpack_text($row['config']),
        'created_at' => $row['created_on'],
        'updated_at' => $row['changed_on'] == '0000-00-00 00:00:00' ? $row['created_on'] : $row['changed_on'],
    );
}

function visible()
{
    $me = current_user_id();
    if (is_admin()) return 's.is_deleted = 0';
    return "s.is_deleted = 0 AND (s.user_id = $me OR s.project_id IN"
        . " (SELECT project_id FROM cms_project_users WHERE user_id = $me))";
}

function find_service($id)
{
    $q = query('SELECT s.*, p.title FROM cms_services s LEFT JOIN cms_projects p ON p.id = s.project_id'
        . ' WHERE s.id = ? AND ' . visible(), array((int) $id));
    $row = $q->fetch(PDO::FETCH_ASSOC);
    if (!$row) fail('Service not found');
    return $row;
}

function project_id($title)
{
    if ($title == '') return null;
    $q = query('SELECT id FROM cms_projects WHERE title = ?', array($title));
    $id = $q->fetchColumn();
    if ($id) return $id;
    query('INSERT INTO cms_projects (title, notes, owner_id, created) VALUES (?, ?, ?, ?)',
        array($title, '', current_user_id(), date('Y-m-d H:i:s')));
    $id = db()->lastInsertId();
    query("INSERT INTO cms_project_users VALUES (?, ?, 'write')", array($id, current_user_id()));
    return $id;
}

if (isset($_REQUEST['getServices'])) {
    $sql = 'SELECT s.*, p.title FROM cms_services s LEFT JOIN cms_projects p ON p.id = s.project_id'
        . " WHERE s.status <> 'cancelled' AND " . visible();
    $values = array();
    foreach (array('project' => 'p.title', 'type' => 's.svc_type', 'status' => 's.status') as $name => $column) {
        if (param($name) != '') {
            $sql .= " AND $column = ?";
            $values[] = param($name);
        }
    }
    $services = array();
    foreach (query($sql . ' ORDER BY s.id', $values)->fetchAll(PDO::FETCH_ASSOC) as $row) {
        $services[] = service_row($row);
    }
    answer('services', $services);
}

if (isset($_REQUEST['getService'])) {
    answer('service', service_row(find_service(param('serviceId'))));
}

if (isset($_REQUEST['createService'])) {
    if ($_SERVER['REQUEST_METHOD'] != 'POST') fail('POST only');
    if (param('name') == '') fail('Name missing');
    $now = date('Y-m-d H:i:s');
    query('INSERT INTO cms_services (project_id, user_id, name, descr, icon, svc_type, status, endpoints,'
        . ' depends_on, config, created_on, changed_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', array(
        project_id(param('project')), current_user_id(), param('name'), param('description'),
        param('icon', 'server-outline'), param('type', 'api'), param('status', 'active'),
        json_encode(param('endpoints', array())), join(',', param('dependencies', array())),
        json_encode(param('configuration', array())), $now, $now));
    answer('service', service_row(find_service(db()->lastInsertId())));
}

if (isset($_REQUEST['updateService'])) {
    if ($_SERVER['REQUEST_METHOD'] != 'POST') fail('POST only');
    $row = find_service(param('serviceId'));
    $columns = array('name' => 'name', 'description' => 'descr', 'icon' => 'icon', 'type' => 'svc_type',
        'status' => 'status', 'endpoints' => 'endpoints', 'configuration' => 'config', 'dependencies' => 'depends_on');
    foreach ($columns as $name => $column) {
        if (!isset($_REQUEST[$name])) continue;
        $value = param($name);
        if (is_array($value)) $value = $name == 'dependencies' ? join(',', $value) : json_encode($value);
        query("UPDATE cms_services SET $column = ? WHERE id = ?", array($value, $row['id']));
    }
    query('UPDATE cms_services SET changed_on = ? WHERE id = ?', array(date('Y-m-d H:i:s'), $row['id']));
    answer('service', service_row(find_service($row['id'])));
}

if (isset($_REQUEST['deleteService'])) {
    if ($_SERVER['REQUEST_METHOD'] != 'POST') fail('POST only');
    $row = find_service(param('serviceId'));
    query("UPDATE cms_services SET is_deleted = 1, status = 'cancelled', changed_on = ? WHERE id = ?",
        array(date('Y-m-d H:i:s'), $row['id']));
    answer('service', array('id' => (int) $row['id'], 'serviceId' => (int) $row['id'], 'status' => 'cancelled'));
}

if (isset($_REQUEST['getLogs'])) {
    $row = find_service(param('serviceId'));
    $sql = 'SELECT * FROM service_log WHERE service_id = ?';
    $values = array($row['id']);
    if (param('level') != '') {
        $sql .= ' AND severity = ?';
        $values[] = param('level') == 'warn' ? 'warning' : param('level');
    }
    $sql .= ' ORDER BY logged_at DESC, id DESC LIMIT ' . min(1000, max(1, (int) param('limit', 100)));
    $logs = array();
    foreach (query($sql, $values)->fetchAll(PDO::FETCH_ASSOC) as $line) {
        $logs[] = array(
            'id' => (int) $line['id'],
            'time' => $line['logged_at'],
            'level' => $line['severity'],
            'message' => $line['msg'],
            'context' => unpack_text($line['ctx']),
        );
    }
    answer('logs', $logs);
}

if (isset($_REQUEST['getMetrics'])) {
    $row = find_service(param('serviceId'));
    $units = array('m' => 60, 'h' => 3600, 'd' => 86400);
    $timeframe = preg_match('/^\d+[mhd]$/', param('timeframe')) ? param('timeframe') : '24h';
    $from = time() - (int) $timeframe * $units[substr($timeframe, -1)];
    $q = query('SELECT hour_start AS time, hits AS requests, errs AS errors, avg_ms AS response_time'
        . ' FROM service_stats WHERE service_id = ? AND hour_start >= ? ORDER BY hour_start',
        array($row['id'], date('Y-m-d H:i:s', $from)));
    answer('metrics', array('timeframe' => $timeframe, 'hours' => $q->fetchAll(PDO::FETCH_ASSOC)));
}

if (isset($_REQUEST['healthCheck'])) {
    $row = find_service(param('serviceId'));
    answer('health', array(
        'serviceId' => (int) $row['id'],
        'status' => $row['status'] == 'active' ? 'healthy' : 'unhealthy',
        'checked_at' => date('Y-m-d H:i:s'),
    ));
}

fail('Unknown action');
